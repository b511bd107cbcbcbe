import { z } from 'zod'
import type { HookFile } from '#runtime/injection-port.ts'
import { describeIssues } from './describe-issues.ts'
import { goRegExp } from './go-regexp.ts'

const stage = z.enum([
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
])

const schema = z.strictObject({
  version: z.literal('1.0.0', 'is not "1.0.0", the one format that cri-ts reads'),
  hook: z.strictObject({
    path: z.string().startsWith('/', 'is not an absolute path'),
    args: z.array(z.string()).optional(),
    env: z.array(z.string().regex(/^[^=\0]+=[^\0]*$/, 'is not of the form NAME=value')).optional(),
    timeout: z.int().min(1).optional(),
  }),
  when: z.strictObject({
    always: z.boolean().optional(),
    annotations: z.record(z.string(), z.string()).default({}),
    commands: z.array(z.string()).default([]),
    hasBindMounts: z.boolean().optional(),
    or: z.boolean().default(false),
  }),
  stages: z.array(stage).min(1, 'is empty'),
})

/** oci-hooks(5), version 1.0.0. Throws an Error that says what is wrong, with the key. */
export function parseHookFile(text: string): HookFile {
  const parsed = schema.safeParse(JSON.parse(text))
  if (!parsed.success) throw new Error(describeIssues(parsed.error))
  const { hook, when, stages } = parsed.data
  const { path, args, env, timeout } = hook
  const { always, hasBindMounts, or } = when
  return {
    hook: {
      path,
      ...(args === undefined ? {} : { args }),
      ...(env === undefined ? {} : { env }),
      ...(timeout === undefined ? {} : { timeout }),
    },
    stages: [...new Set(stages)],
    when: {
      ...(always === undefined ? {} : { always }),
      ...(hasBindMounts === undefined ? {} : { hasBindMounts }),
      or,
      annotations: Object.entries(when.annotations).map(([name, value]) => [
        pattern(name, 'when.annotations'),
        pattern(value, `when.annotations["${name}"]`),
      ]),
      commands: when.commands.map((command, index) => pattern(command, `when.commands[${index}]`)),
    },
  }
}

function pattern(text: string, key: string): RegExp {
  try {
    return goRegExp(text)
  } catch (error) {
    throw new Error(`${key} ${(error as Error).message}`, { cause: undefined })
  }
}

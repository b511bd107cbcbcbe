import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { describeError } from '#lib/errors.ts'
import { parseExact } from '#lib/exact-json.ts'
import type { BaseSpec } from '#runtime/handler.ts'

const shape = z.looseObject({
  process: z
    .looseObject({
      env: z.array(z.string()).optional(),
      rlimits: z.array(z.looseObject({ type: z.string(), soft: z.number(), hard: z.number() })).optional(),
    })
    .optional(),
  mounts: z.array(z.looseObject({ destination: z.string() })).optional(),
  hooks: z.record(z.string(), z.array(z.looseObject({ path: z.string() }))).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  linux: z
    .looseObject({
      namespaces: z.array(z.looseObject({ type: z.string() })).optional(),
      devices: z.array(z.looseObject({ path: z.string() })).optional(),
      sysctl: z.record(z.string(), z.string()).optional(),
      resources: z
        .looseObject({
          devices: z
            .array(
              z.looseObject({
                allow: z.boolean(),
                type: z.string().optional(),
                major: z.number().optional(),
              }),
            )
            .optional(),
          hugepageLimits: z.array(z.looseObject({ pageSize: z.string() })).optional(),
        })
        .optional(),
    })
    .optional(),
})

/** The base spec in a file, or what is wrong with it. */
export function readBaseSpec(path: string): { readonly spec: BaseSpec } | { readonly problem: string } {
  try {
    const text = readFileSync(path, 'utf8')
    const parsed = shape.safeParse(JSON.parse(text))
    if (parsed.success) return { spec: parseExact(text) as BaseSpec } // RLIM_INFINITY is no double.
    const [issue] = parsed.error.issues
    return { problem: `${issue?.path.join('.') || 'the whole'}: ${issue?.message}` }
  } catch (error) {
    return { problem: describeError(error) }
  }
}

import { invalidArgument } from '#lib/errors.ts'
import type { SELinuxOption } from '#proto/gen/runtime/v1/api.ts'
import type { SelinuxOptions } from '#runtime/pod-sandbox/record.ts'

/** What each part of a context may be: user, role and type are words of the policy, the level is MLS's. */
const parts = {
  user: /^\w[\w.-]*$/,
  role: /^\w[\w.-]*$/,
  type: /^\w[\w.-]*$/,
  level: /^s\d+(-s\d+)?(:c\d+([.,]c\d+)*(-s\d+(:c\d+([.,]c\d+)*)?)?)?$/,
} as const

/**
 * Undefined where nothing is asked for. Throws invalid-argument for what is no part of an SELinux context, on hosts
 * without SELinux too: there what is asked for means nothing, as in Kubernetes.
 */
export function convertSelinux(
  options: SELinuxOption | undefined,
  field: string,
): SelinuxOptions | undefined {
  if (options === undefined) return undefined
  const { user, role, type, level } = options
  const given = Object.entries({ user, role, type, level }).filter(([, value]) => value !== '')
  for (const [part, value] of given) {
    if (parts[part as keyof typeof parts].test(value)) continue
    const example = part === 'level' ? ', such as s0:c1,c2' : ', such as system_u, system_r or container_t'
    throw invalidArgument(`${field}.${part} is ${JSON.stringify(value)}: it is no SELinux ${part}${example}`)
  }
  return given.length === 0 ? undefined : { user, role, type, level }
}

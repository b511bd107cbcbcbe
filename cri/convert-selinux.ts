import { invalidArgument } from '#lib/errors.ts'
import type { SELinuxOption } from '#proto/gen/runtime/v1/api.ts'
import { refuse } from './refuse.ts'

/** What of this host decides what a request means. */
export interface HostSupport {
  /** Whether SELinux is on. */
  readonly selinux: boolean
}

/** What each part of a context may be: user, role and type are words of the policy, the level is MLS's. */
const parts = {
  user: /^\w[\w.-]*$/,
  role: /^\w[\w.-]*$/,
  type: /^\w[\w.-]*$/,
  level: /^s\d+(-s\d+)?(:c\d+([.,]c\d+)*(-s\d+(:c\d+([.,]c\d+)*)?)?)?$/,
} as const

/**
 * Throws invalid-argument for what is no part of an SELinux context. On a host without SELinux a context means nothing,
 * and is passed over: charts that are meant for all hosts ask for one (Kubernetes does the same). On a host that has it
 * one that is asked for is refused, as it is not applied yet; a privileged container has none (api.proto).
 */
export function checkSelinux(
  options: SELinuxOption | undefined,
  field: string,
  { privileged, host }: { readonly privileged: boolean; readonly host: HostSupport },
): void {
  if (options === undefined) return
  const { user, role, type, level } = options
  const given = Object.entries({ user, role, type, level }).filter(([, value]) => value !== '')
  for (const [part, value] of given) {
    if (parts[part as keyof typeof parts].test(value)) continue
    const example = part === 'level' ? ', such as s0:c1,c2' : ', such as system_u, system_r or container_t'
    throw invalidArgument(`${field}.${part} is ${JSON.stringify(value)}: it is no SELinux ${part}${example}`)
  }
  refuse(given.length > 0 && host.selinux && !privileged, {
    field,
    what: `SELinux context ${[user, role, type, level].join(':')}`,
    remedy: 'leave it out, or run the container on another node',
  })
}

import { createHash } from 'node:crypto'
import { capabilityNames } from '#lib/capability-names.ts'
import type { OciSeccomp, OciSeccompRule } from '#runtime/oci-spec/oci-spec.ts'
import type { SeccompSubject } from '#runtime/seccomp/profile.ts'

/** The ones that Kubernetes and this daemon run on. */
const architectures = ['amd64', 'arm64', 'loong64', 'ppc64le', 'riscv64', 's390x']
const capabilitySets: readonly (readonly string[])[] = [
  [],
  ...capabilityNames.map((name) => [name]),
  capabilityNames,
]

/** Without capabilities, with each alone and with all, everywhere, before and after the kernel's change to ptrace. */
export const comparedSubjects: readonly SeccompSubject[] = architectures.flatMap((architecture) =>
  capabilitySets.flatMap((capabilities) =>
    (
      [
        [4, 7],
        [6, 12],
      ] as const
    ).map((kernel) => ({ architecture, capabilities, kernel })),
  ),
)

/** What a filter does, a line for each thing: two that are written otherwise and do the same have the same lines. */
export function effectOf({ defaultAction, defaultErrnoRet, architectures, syscalls }: OciSeccomp): string[] {
  const lines = [
    `else ${defaultAction} ${defaultErrnoRet ?? EPERM}`,
    ...(architectures ?? []).map((name) => `architecture ${name}`),
    ...syscalls.flatMap((rule) => rule.names.flatMap((name) => ruleLines(name, rule))),
  ]
  return [...new Set(lines)].sort()
}

/** To be compared where the lines themselves are not at hand. */
export const digestOf = (lines: readonly string[]): string =>
  createHash('sha256').update(lines.join('\n')).digest('hex')

const EPERM = 1

function ruleLines(name: string, { action, errnoRet, args = [] }: OciSeccompRule): string[] {
  const does = `${action}${action === 'SCMP_ACT_ERRNO' ? ` ${errnoRet ?? EPERM}` : ''}`
  const [arg] = args
  if (name === 'socket' && args.length === 1 && arg?.op === 'SCMP_CMP_LT') {
    // A bound and its single values are the same; AF_UNSPEC (0) makes no socket.
    return Array.from({ length: Number(arg.value) - 1 }, (_, below) => argLine(name, below + 1, does))
  }
  if (name === 'socket' && args.length === 1 && arg?.op === 'SCMP_CMP_EQ') {
    return [argLine(name, Number(arg.value), does)]
  }
  const conditions = args.map(
    ({ index, op, value, valueTwo = 0 }) => `arg${index} ${op} ${value} ${valueTwo}`,
  )
  return [[name, ...conditions, does].join(' ')]
}

const argLine = (name: string, value: number, does: string): string => `${name} arg0 = ${value} ${does}`

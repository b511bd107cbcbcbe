import type { OciSeccomp, OciSeccompRule, Uint64 } from '../oci-spec/oci-spec.ts'

/**
 * A seccomp profile in the meaning of Docker's format, of which `linux.seccomp` of the OCI specification is the part
 * without conditions: which rules hold depends on the container's capabilities, the machine and its kernel.
 */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction
  readonly defaultErrno?: number | undefined
  /** SCMP_ARCH_…, beside the machine's own, which every filter covers. */
  readonly architectures: readonly string[]
  /** More of them, by the machine's own SCMP_ARCH_…; itself among them. */
  readonly architecturesOf: { readonly [native: string]: readonly string[] }
  readonly flags: readonly string[]
  readonly listenerPath?: string | undefined
  readonly listenerMetadata?: string | undefined
  readonly rules: readonly SeccompRule[]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: SeccompAction
  readonly errno?: number | undefined
  /** All of them must hold. */
  readonly args: readonly SeccompArg[]
  /** All that is named must be so. */
  readonly includes?: SeccompCondition | undefined
  /** Nothing that is named may be so. */
  readonly excludes?: SeccompCondition | undefined
}

export interface SeccompArg {
  readonly index: number
  readonly value: bigint
  readonly valueTwo?: bigint | undefined
  readonly op: SeccompOperator
}

export interface SeccompCondition {
  /** CAP_…, of the container's bounding set. */
  readonly capabilities?: readonly string[] | undefined
  /** As Go names them: amd64, arm64 … */
  readonly architectures?: readonly string[] | undefined
  readonly minKernel?: KernelVersion | undefined
}

export type KernelVersion = readonly [major: number, minor: number]

export const seccompActions = [
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_LOG',
  'SCMP_ACT_NOTIFY',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_TRAP',
] as const
export type SeccompAction = (typeof seccompActions)[number]

export const seccompOperators = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const
export type SeccompOperator = (typeof seccompOperators)[number]

/** What decides which rules hold. */
export interface SeccompSubject {
  /** CAP_…, the container's bounding set. */
  readonly capabilities: readonly string[]
  /** As Go names it. */
  readonly architecture: string
  readonly kernel: KernelVersion
}

const nativeArchitectures: { readonly [architecture: string]: string } = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
  loong64: 'SCMP_ARCH_LOONGARCH64',
  ppc64le: 'SCMP_ARCH_PPC64LE',
  riscv64: 'SCMP_ARCH_RISCV64',
  s390x: 'SCMP_ARCH_S390X',
}

/** `linux.seccomp` of config.json for one container. A system call that the runtime's libseccomp does not know is left out by it. */
export function resolveSeccomp(profile: SeccompProfile, subject: SeccompSubject): OciSeccomp {
  const { defaultErrno, listenerPath, listenerMetadata } = profile
  const native = nativeArchitectures[subject.architecture] ?? ''
  return {
    defaultAction: profile.defaultAction,
    ...(defaultErrno === undefined ? {} : { defaultErrnoRet: defaultErrno }),
    architectures: [...profile.architectures, ...(profile.architecturesOf[native] ?? [])],
    ...(profile.flags.length === 0 ? {} : { flags: profile.flags }),
    ...(listenerPath === undefined ? {} : { listenerPath }),
    ...(listenerMetadata === undefined ? {} : { listenerMetadata }),
    syscalls: profile.rules.filter((rule) => holds(rule, subject)).map(toOciRule),
  }
}

function holds({ includes = {}, excludes = {} }: SeccompRule, subject: SeccompSubject): boolean {
  const has = (name: string): boolean => subject.capabilities.includes(name)
  const isOn = (names: readonly string[]): boolean => names.includes(subject.architecture)
  if (includes.capabilities?.every(has) === false) return false
  if (excludes.capabilities?.some(has) === true) return false
  if (includes.architectures !== undefined && !isOn(includes.architectures)) return false
  if (excludes.architectures !== undefined && isOn(excludes.architectures)) return false
  if (includes.minKernel !== undefined && !isAtLeast(subject.kernel, includes.minKernel)) return false
  return excludes.minKernel === undefined || !isAtLeast(subject.kernel, excludes.minKernel)
}

const isAtLeast = (kernel: KernelVersion, least: KernelVersion): boolean =>
  kernel[0] > least[0] || (kernel[0] === least[0] && kernel[1] >= least[1])

const toOciRule = ({ names, action, errno, args }: SeccompRule): OciSeccompRule => ({
  names,
  action,
  ...(errno === undefined ? {} : { errnoRet: errno }),
  ...(args.length === 0 ? {} : { args: args.map(toOciArg) }),
})

const toOciArg = ({ index, value, valueTwo, op }: SeccompArg) => ({
  index,
  value: toUint64(value),
  ...(valueTwo === undefined ? {} : { valueTwo: toUint64(valueTwo) }),
  op,
})

/** JSON.rawJSON, which TypeScript's library does not know yet: a number that a double can't hold, kept whole. */
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => { readonly rawJSON: string } }

const toUint64 = (value: bigint): Uint64 =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : rawJSON(`${value}`)

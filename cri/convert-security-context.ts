import { invalidArgument } from '#lib/errors.ts'
import { LinuxContainerSecurityContext, SupplementalGroupsPolicy } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerSpec, UserRequest } from '#runtime/container/record.ts'
import { convertAppArmor, convertSeccomp } from './convert-confinement.ts'
import { convertEnum } from './convert-enum.ts'
import { absolute } from './convert-mounts.ts'
import { convertContainerNamespaces } from './convert-namespaces.ts'
import { convertSelinux } from './convert-selinux.ts'

const field = 'linux.security_context'
const unsaid = LinuxContainerSecurityContext.decode(new Uint8Array())

const policies = convertEnum({
  merge: SupplementalGroupsPolicy.Merge,
  strict: SupplementalGroupsPolicy.Strict,
})

/** Throws invalid-argument for what is wrong. */
export function convertSecurityContext(
  context: LinuxContainerSecurityContext = unsaid,
): ContainerSpec['security'] {
  const { privileged, capabilities } = context
  const selinux = convertSelinux(context.selinuxOptions, `${field}.selinux_options`)
  const [seccomp, apparmor] = [convertSeccomp(context), convertAppArmor(context)]
  const ambient = capabilities?.addAmbientCapabilities ?? []
  return {
    user: convertUser(context),
    privileged,
    readonlyRootfs: context.readonlyRootfs,
    noNewPrivileges: context.noNewPrivs,
    addCapabilities: [...(capabilities?.addCapabilities ?? [])],
    dropCapabilities: [...(capabilities?.dropCapabilities ?? [])],
    ...(ambient.length === 0 ? {} : { ambientCapabilities: [...ambient] }),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(apparmor === undefined ? {} : { apparmor }),
    ...(selinux === undefined ? {} : { selinux }),
    maskedPaths: paths(context.maskedPaths, 'masked_paths'),
    readonlyPaths: paths(context.readonlyPaths, 'readonly_paths'),
    namespaces: convertContainerNamespaces(context.namespaceOptions),
  }
}

function convertUser(context: LinuxContainerSecurityContext): UserRequest {
  const { runAsUser, runAsUsername, runAsGroup, supplementalGroups } = context
  const policy = policies.fromWire(context.supplementalGroupsPolicy, `${field}.supplemental_groups_policy`)
  if (runAsUser !== undefined && runAsUsername !== '') {
    throw invalidArgument(`${field} has both run_as_user and run_as_username: give one of them`)
  }
  requireUserOfGroup(runAsGroup, runAsUser ?? (runAsUsername || undefined))
  return {
    user: runAsUser === undefined ? runAsUsername : String(checkedId(runAsUser.value, 'run_as_user')),
    group: runAsGroup === undefined ? undefined : checkedId(runAsGroup.value, 'run_as_group'),
    supplementalGroups: supplementalGroups.map((id, index) => checkedId(id, `supplemental_groups[${index}]`)),
    ...(policy === 'strict' ? { strictGroups: true } : {}),
  }
}

/** An OCI runtime would pass over a relative one, and leave the container less confined than asked. */
const paths = (all: readonly string[], of: string): readonly string[] =>
  all.map((path, index) => absolute(path, `${field}.${of}[${index}]`))

/** Ids that OCI runtimes take: non-negative 32-bit integers. */
const MAX_ID = 0x7fff_ffffn

function checkedId(id: bigint, of: string): number {
  if (id >= 0n && id <= MAX_ID) return Number(id)
  throw invalidArgument(`${field}.${of} is ${id}: it may be 0 to ${MAX_ID}`)
}

/** api.proto, run_as_group: without a user "the runtime MUST error". */
export function requireUserOfGroup(group: { readonly value: bigint } | undefined, user: unknown): void {
  if (group === undefined || user !== undefined) return
  throw invalidArgument(`${field}.run_as_group is ${group.value} without a user: set run_as_user too`)
}

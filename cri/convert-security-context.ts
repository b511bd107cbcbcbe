import { invalidArgument } from '#lib/errors.ts'
import { LinuxContainerSecurityContext, SupplementalGroupsPolicy } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerSpec, UserRequest } from '#runtime/container/record.ts'
import { type HostSupport, refuseConfinement } from './convert-confinement.ts'
import { convertEnum } from './convert-enum.ts'
import { convertContainerNamespaces } from './convert-namespaces.ts'
import { refuse } from './refuse.ts'

const field = 'linux.security_context'
const unsaid = LinuxContainerSecurityContext.decode(new Uint8Array())

const policies = convertEnum({
  merge: SupplementalGroupsPolicy.Merge,
  strict: SupplementalGroupsPolicy.Strict,
})

/** Throws unimplemented for what would leave the container less confined than asked, invalid-argument for what is wrong. */
export function convertSecurityContext(
  context: LinuxContainerSecurityContext = unsaid,
  host: HostSupport,
): ContainerSpec['security'] {
  const { privileged, capabilities } = context
  refuseConfinement(context, privileged, host)
  refuse(capabilities?.addAmbientCapabilities, {
    field: `${field}.capabilities.add_ambient_capabilities`,
    what: 'an ambient capability',
    remedy: 'add it by add_capabilities and run the container as root, or leave it out',
  })
  return {
    user: convertUser(context),
    privileged,
    readonlyRootfs: context.readonlyRootfs,
    noNewPrivileges: context.noNewPrivs,
    addCapabilities: [...(capabilities?.addCapabilities ?? [])],
    dropCapabilities: [...(capabilities?.dropCapabilities ?? [])],
    maskedPaths: [...context.maskedPaths],
    readonlyPaths: [...context.readonlyPaths],
    namespaces: convertContainerNamespaces(context.namespaceOptions),
  }
}

function convertUser(context: LinuxContainerSecurityContext): UserRequest {
  const { runAsUser, runAsUsername, runAsGroup, supplementalGroups } = context
  const policy = policies.fromWire(context.supplementalGroupsPolicy, `${field}.supplemental_groups_policy`)
  refuse(policy === 'strict', {
    field: `${field}.supplemental_groups_policy`,
    what: 'Strict',
    remedy: "set Merge, which joins the groups of the image's /etc/group too",
  })
  if (runAsUser !== undefined && runAsUsername !== '') {
    throw invalidArgument(`${field} has both run_as_user and run_as_username: give one of them`)
  }
  requireUserOfGroup(runAsGroup, runAsUser ?? (runAsUsername || undefined))
  return {
    user: runAsUser === undefined ? runAsUsername : String(runAsUser.value),
    group: runAsGroup === undefined ? undefined : Number(runAsGroup.value),
    supplementalGroups: supplementalGroups.map(Number),
  }
}

/** api.proto, run_as_group: without a user "the runtime MUST error". */
export function requireUserOfGroup(group: { readonly value: bigint } | undefined, user: unknown): void {
  if (group === undefined || user !== undefined) return
  throw invalidArgument(`${field}.run_as_group is ${group.value} without a user: set run_as_user too`)
}

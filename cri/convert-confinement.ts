import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import { convertEnum } from './convert-enum.ts'
import { refuse } from './refuse.ts'

/** The security modules that are enabled on this host. */
export interface HostSupport {
  readonly apparmor: boolean
  readonly selinux: boolean
}

const profiles = convertEnum({
  RuntimeDefault: wire.SecurityProfile_ProfileType.RuntimeDefault,
  Unconfined: wire.SecurityProfile_ProfileType.Unconfined,
  Localhost: wire.SecurityProfile_ProfileType.Localhost,
})
type Profile = 'RuntimeDefault' | 'Unconfined' | 'Localhost'

type Confinement = Pick<
  wire.LinuxContainerSecurityContext,
  'seccomp' | 'seccompProfilePath' | 'apparmor' | 'apparmorProfile'
>

const field = 'linux.security_context'

/**
 * Throws unimplemented for a confinement that is asked for and not applied yet: nothing runs less confined than asked.
 * A privileged container has none of it (api.proto, LinuxContainerSecurityContext.privileged). No seccomp profile means
 * unconfined; no AppArmor profile, and RuntimeDefault where the host has no AppArmor, mean what containerd does there: none.
 */
export function refuseConfinement(context: Confinement, privileged: boolean, host: HostSupport): void {
  const seccomp = [
    profileOf(context.seccomp, `${field}.seccomp`),
    profileOfString(context.seccompProfilePath, `${field}.seccomp_profile_path`),
  ]
  const apparmor = [
    profileOf(context.apparmor, `${field}.apparmor`),
    profileOfString(context.apparmorProfile, `${field}.apparmor_profile`),
  ]
  if (privileged) return

  for (const profile of seccomp) {
    refuse(profile !== undefined && profile !== 'Unconfined', {
      field: `${field}.seccomp`,
      what: `seccomp profile ${profile}`,
      remedy: 'set Unconfined, or run the container on another node',
    })
  }
  for (const profile of apparmor) {
    refuse(profile === 'Localhost' || (profile === 'RuntimeDefault' && host.apparmor), {
      field: `${field}.apparmor`,
      what: `AppArmor profile ${profile}`,
      remedy: 'set Unconfined, or run the container on another node',
    })
  }
}

function profileOf(profile: wire.SecurityProfile | undefined, of: string): Profile | undefined {
  if (profile === undefined) return undefined
  const type = profiles.fromWire(profile.profileType, `${of}.profile_type`)
  if (profile.localhostRef !== '' && type !== 'Localhost') {
    throw invalidArgument(`${of}.localhost_ref is ${profile.localhostRef}, but the profile type is ${type}`)
  }
  return type
}

/** The deprecated form of the two profiles, which kubelet still sends beside the new one. */
function profileOfString(profile: string, of: string): Profile | undefined {
  if (profile === '') return undefined
  if (profile === 'unconfined') return 'Unconfined'
  if (profile === 'runtime/default' || profile === 'docker/default') return 'RuntimeDefault'
  if (profile.startsWith('localhost/')) return 'Localhost'
  throw invalidArgument(`${of} is ${profile}: it may be runtime/default, unconfined or localhost/NAME`)
}

import { posix } from 'node:path'
import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { SecurityProfile } from '#runtime/pod-sandbox/record.ts'
import { convertEnum } from './convert-enum.ts'

const profiles = convertEnum({
  RuntimeDefault: wire.SecurityProfile_ProfileType.RuntimeDefault,
  Unconfined: wire.SecurityProfile_ProfileType.Unconfined,
  Localhost: wire.SecurityProfile_ProfileType.Localhost,
})

const field = 'linux.security_context'

type Seccomp = Pick<wire.LinuxContainerSecurityContext, 'seccomp' | 'seccompProfilePath'>
type AppArmor = Pick<wire.LinuxContainerSecurityContext, 'apparmor' | 'apparmorProfile'>

/**
 * Undefined where nothing is asked for. The deprecated string, which kubelet sends beside the new field, counts only
 * where that is not set: clients who know both mean the new one. A reference is the absolute path of a file.
 */
export function convertSeccomp({ seccomp, seccompProfilePath }: Seccomp): SecurityProfile | undefined {
  return (
    profileOf(seccomp, `${field}.seccomp`, seccompPath) ??
    profileOfString(seccompProfilePath, `${field}.seccomp_profile_path`, seccompPath)
  )
}

/** The same for AppArmor, where a reference is the name of a profile that is loaded. */
export function convertAppArmor({ apparmor, apparmorProfile }: AppArmor): SecurityProfile | undefined {
  return (
    profileOf(apparmor, `${field}.apparmor`, apparmorName) ??
    profileOfString(apparmorProfile, `${field}.apparmor_profile`, apparmorName)
  )
}

type ConvertReference = (reference: string, of: string) => string

function profileOf(
  profile: wire.SecurityProfile | undefined,
  of: string,
  convert: ConvertReference,
): SecurityProfile | undefined {
  if (profile === undefined) return undefined
  const type = profiles.fromWire(profile.profileType, `${of}.profile_type`)
  const { localhostRef } = profile
  // Some clients put the prefix of the old field here too.
  if (type === 'Localhost')
    return { type, reference: convert(localhostRef.replace(PREFIX, ''), `${of}.localhost_ref`) }
  if (localhostRef === '') return { type }
  throw invalidArgument(
    `${of}.localhost_ref is ${localhostRef}, but the profile type is ${type}: set Localhost, or leave the reference out`,
  )
}

/** The deprecated form of the two profiles. */
function profileOfString(
  profile: string,
  of: string,
  convert: ConvertReference,
): SecurityProfile | undefined {
  if (profile === '') return undefined
  if (profile === 'unconfined') return { type: 'Unconfined' }
  if (profile === 'runtime/default' || profile === 'docker/default') return { type: 'RuntimeDefault' }
  if (PREFIX.test(profile)) return { type: 'Localhost', reference: convert(profile.replace(PREFIX, ''), of) }
  throw invalidArgument(`${of} is ${profile}: it may be runtime/default, unconfined or localhost/REFERENCE`)
}

const PREFIX = /^localhost\//

function seccompPath(reference: string, of: string): string {
  if (posix.isAbsolute(reference) && !reference.includes('\0')) return posix.normalize(reference)
  throw invalidArgument(
    `${of} is "${reference}": it must be the absolute path of a seccomp profile on this node`,
  )
}

function apparmorName(reference: string, of: string): string {
  if (/^[^\s\0]+$/.test(reference)) return reference
  throw invalidArgument(
    `${of} is "${reference}": it must be the name of an AppArmor profile loaded on this node`,
  )
}

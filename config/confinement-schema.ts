import { z } from 'zod'
import type { ConfinementSettings } from '#runtime/confinement.ts'
import { says } from './key-meta.ts'

const seccompProfile = z.string().regex(/^(?:unconfined|runtime\/default|\/[^\0]*[^/\0])$/)
const PROFILES = '"unconfined", "runtime/default", or the absolute path of a JSON file'

/** The keys of [runtime] that are about how containers are confined. */
export const confinementKeys = {
  unset_seccomp_profile: seccompProfile
    .default('unconfined')
    .meta(says('The seccomp profile of containers that ask for none.', PROFILES)),
  privileged_seccomp_profile: seccompProfile
    .default('unconfined')
    .meta(says('The seccomp profile of privileged containers, whatever they ask for.', PROFILES)),
  apparmor_profile: z
    .string()
    .regex(/^[^\s\0]+$/)
    .optional()
    .meta(
      says(
        'The AppArmor profile that RuntimeDefault means, and that containers have which ask for none; you load it yourself.',
        'the name of a profile that is loaded',
        'cri-ts-default, which the daemon loads',
      ),
    ),
  restore_checkpoint_images: z
    .boolean()
    .default(false)
    .meta(
      says(
        "Pods may run images that hold a checkpoint, whose processes have the users, capabilities and seccomp filters that the image says, whatever their pod's security context is: only where all who can push images may be root on the node.",
        'true or false',
      ),
    ),
  enable_selinux: z
    .boolean()
    .default(true)
    .meta(
      says(
        'Label pods and their files where the host has SELinux on; without, contexts that are asked for are passed over.',
        'true or false',
      ),
    ),
  disable_apparmor: z
    .boolean()
    .default(false)
    .meta(
      says(
        'Do without AppArmor though the kernel has it, as inside of a container; a profile that is asked for is refused then.',
        'true or false',
      ),
    ),
}

type Table = z.infer<z.ZodObject<typeof confinementKeys>>

export const confinementSettings = (table: Table): ConfinementSettings => ({
  unsetSeccomp: toProfile(table.unset_seccomp_profile),
  privilegedSeccomp: toProfile(table.privileged_seccomp_profile),
  apparmorProfile: table.apparmor_profile,
  restoresImages: table.restore_checkpoint_images,
})

function toProfile(value: string): ConfinementSettings['unsetSeccomp'] {
  if (value === 'unconfined') return { type: 'Unconfined' }
  return value === 'runtime/default' ? { type: 'RuntimeDefault' } : { type: 'Localhost', reference: value }
}

/** What decides how the profile is written: it may use no more of the host's AppArmor than there is. */
export interface AppArmorHost {
  /** Whether /etc/apparmor.d has a file. */
  readonly has: (name: string) => boolean
  /** The profile that the daemon itself runs in: `unconfined`, mostly. */
  readonly daemonProfile: string
}

export const OWN_PROFILE = 'cri-ts-default'

/**
 * The profile of containers that ask for no other: all that files' permissions and capabilities allow, but for what
 * would change or tell of the host. Equal in effect to containerd's, see docs/decisions/0013-apparmor-profile.md.
 */
export function ownAppArmorProfile({ has, daemonProfile }: AppArmorHost): string {
  // ABI 3.0: a later one would also mediate what the rules below don't speak of, such as user namespaces.
  const abi = has('abi/3.0') ? ['abi <abi/3.0>,'] : []
  const proc = has('tunables/global') ? '#include <tunables/global>' : '@{PROC}=/proc/'
  const base = has('abstractions/base') ? ['  #include <abstractions/base>'] : []
  const managers = [...new Set(['unconfined', 'runc', 'crun', daemonProfile])]
  return [
    ...abi,
    proc,
    // Paths of mounts that a container has left behind, and of deleted files, are still judged.
    `profile ${OWN_PROFILE} flags=(attach_disconnected,mediate_deleted) {`,
    ...base,
    ...allowed.map((rule) => `  ${rule},`),
    ...managers.map((peer) => `  signal (receive) peer=${peer},`),
    ...withinThePod.map((rule) => `  ${rule} peer=${OWN_PROFILE},`),
    ...denied.flatMap(({ why, rules }) => [`  # ${why}`, ...rules.map((rule) => `  deny ${rule},`)]),
    '}',
    '',
  ].join('\n')
}

/** Left to capabilities, permissions and the network namespace. */
const allowed = ['network', 'capability', 'file', 'umount']

const withinThePod = ['signal (send, receive)', 'ptrace (trace, tracedby, read, readby)']

/** In AppArmor's globs `*` stays within a directory, `**` does not, and only single characters can be excluded. */
const denied: readonly { readonly why: string; readonly rules: readonly string[] }[] = [
  {
    why: 'No mount: another view of the files would have other paths than these rules speak of.',
    rules: ['mount'],
  },
  {
    why: 'In /proc only processes may be written to, and of /proc/sys only what an IPC namespace has of its own: kernel/shm*.',
    rules: [
      '@{PROC}/* w',
      '@{PROC}/{[^1-9/],[^1-9/][^0-9/],[^1-9s/][^0-9y/][^0-9s/],[^1-9/][^0-9/][^0-9/][^0-9/]*}/** w',
      '@{PROC}/sys/[^k]** w',
      '@{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w',
    ],
  },
  {
    why: "The host's keyboard commands and memory.",
    rules: ['@{PROC}/sysrq-trigger rwklx', '@{PROC}/kcore rwklx'],
  },
  {
    why: 'In /sys only cgroups may be written to.',
    rules: [
      '/sys/[^f]*/** wklx',
      '/sys/f[^s]*/** wklx',
      '/sys/fs/[^c]*/** wklx',
      '/sys/fs/c[^g]*/** wklx',
      '/sys/fs/cg[^r]*/** wklx',
    ],
  },
  {
    why: "Not even read: firmware, the power meter (which tells of others' keys), and security modules.",
    rules: [
      '/sys/firmware/** rwklx',
      '/sys/devices/virtual/powercap/** rwklx',
      '/sys/kernel/security/** rwklx',
    ],
  },
]

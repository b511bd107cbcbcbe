import { existsSync, readFileSync } from 'node:fs'

/** The driver that the daemon under test is to have: as hack/e2e-guest says, else what it finds by itself. */
export const cgroupDriver: string =
  process.env['CRI_TS_CGROUP_DRIVER'] ?? (existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs')

/** `cgroup_parent` as kubelet with this driver gives it, of a pod's cgroup by its name. */
export function cgroupParent(name: string): string {
  if (cgroupDriver === 'cgroupfs') return `/${name}`
  // Slices nest by their dashes: systemd.slice(5).
  const words = name.split('-')
  return words.map((_, index) => `/${words.slice(0, index + 1).join('-')}.slice`).join('')
}

/** Where the memory of a process is limited. */
export function memoryCgroup(pid: number): { readonly version: 1 | 2; readonly directory: string } {
  const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  const legacy = /:memory:(.*)/.exec(cgroups)?.[1]
  if (legacy !== undefined) return { version: 1, directory: `/sys/fs/cgroup/memory${legacy}` }
  return { version: 2, directory: `/sys/fs/cgroup${/^0::(.*)$/m.exec(cgroups)?.[1]}` }
}

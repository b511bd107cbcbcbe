import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { capabilityNames } from '#lib/capability-names.ts'
import { CriError } from '#lib/errors.ts'
import type { HostFacts } from '#runtime/ports.ts'
import { type CgroupHierarchies, readHierarchies } from './cgroups.ts'

/** What systemd's units and containerd's packages give: enough, and not the 2^30 that makes old programs loop. */
const RECOMMENDED_NOFILE = { soft: 1024, hard: 524_288 }
const CGROUP_ROOT = '/sys/fs/cgroup'

/**
 * Reads what of this host decides how containers may be run; cheap, and the same until the daemon ends.
 * `cgroupDriver` auto: systemd's where it is PID 1 (sd_booted(3)). Throws failed-precondition without cgroups.
 */
export function readHostFacts(cgroupDriver: 'auto' | HostFacts['cgroupDriver'] = 'auto'): HostFacts {
  const hierarchies = readHierarchies()
  if (hierarchies.mounts.length === 0) {
    throw new CriError(
      'failed-precondition',
      `no cgroup hierarchy is mounted at ${CGROUP_ROOT}: mount cgroup2 there (mount -t cgroup2 none ${CGROUP_ROOT})`,
    )
  }
  const automatic = existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs'
  const status = readFileSync('/proc/self/status', 'utf8')
  const capabilities = parseCapabilities(status)
  return {
    cgroupVersion: hierarchies.version,
    cgroupDriver: cgroupDriver === 'auto' ? automatic : cgroupDriver,
    capabilities,
    minOomScoreAdj: minOomScoreAdj(capabilities, readFileSync('/proc/self/oom_score_adj', 'utf8')),
    nofileLimit: nofileLimit(readFileSync('/proc/self/limits', 'utf8')),
    swapLimits: swapLimits(hierarchies),
    hugepageSizes: limitsHugepages(hierarchies) ? hugepageSizes(namesIn('/sys/kernel/mm/hugepages')) : [],
    architecture: goArchitectures[process.arch] ?? process.arch,
    kernel: kernelVersion(release()),
    seccomp: /^Seccomp:/m.test(status),
  }
}

const goArchitectures: { readonly [nodeArchitecture: string]: string } = { x64: 'amd64', ppc64: 'ppc64le' }

/** From what uname(2) tells: `6.18.44-fc`. */
export function kernelVersion(release: string): HostFacts['kernel'] {
  const [major = 0, minor = 0] = release.split(/\D+/, 2).map(Number)
  return [major, minor]
}

/** The capabilities of /proc/PID/status that a child can be given: held now and within the bounds. */
export function parseCapabilities(status: string): readonly string[] {
  const set = (name: string): bigint =>
    BigInt(`0x${status.match(new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm'))?.[1] ?? 0}`)
  const held = set('CapEff') & set('CapPrm') & set('CapBnd')
  return capabilityNames.filter((_, bit) => (held >> BigInt(bit)) & 1n)
}

/** Without CAP_SYS_RESOURCE nobody gets below where he stands: proc_pid_oom_score_adj(5). */
export const minOomScoreAdj = (capabilities: readonly string[], ownScore: string): number =>
  capabilities.includes('CAP_SYS_RESOURCE') ? -1000 : Number(ownScore)

/** From /proc/PID/limits: the hard limit is ours at most, and the soft one not what Node raises its own to. */
export function nofileLimit(limits: string): HostFacts['nofileLimit'] {
  const own = Number(limits.match(/^Max open files\s+\S+\s+(\d+)/m)?.[1] ?? Number.POSITIVE_INFINITY)
  const hard = Math.min(own, RECOMMENDED_NOFILE.hard)
  return { soft: Math.min(RECOMMENDED_NOFILE.soft, hard), hard }
}

/** From `hugepages-2048kB` to `2MB`, as the hugetlb controller names its files (both versions) and kubelet its limits. */
export function hugepageSizes(directories: readonly string[]): readonly string[] {
  return directories.flatMap((name) => {
    const kilobytes = Number(name.match(/^hugepages-(\d+)kB$/)?.[1] ?? 0)
    if (kilobytes === 0) return []
    if (kilobytes >= 1 << 20) return [`${kilobytes >> 20}GB`]
    return [kilobytes >= 1 << 10 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`]
  })
}

/** Whether SELinux is on, be it enforcing or permissive: without a policy all there is has the context `kernel`. */
export const selinuxEnabled = (
  file = '/sys/fs/selinux/enforce',
  ownContext = '/proc/self/attr/current',
): boolean => contentOf(file) !== '' && !/^kernel\0?\s*$/.test(contentOf(ownContext))

/** Version 1 has the files in every cgroup, version 2 in all but the root: any child of it tells. */
function swapLimits({ version, mounts }: CgroupHierarchies): boolean {
  if (version === 1) {
    const memory = mounts.find(({ name }) => name.split(',').includes('memory'))
    return memory !== undefined && existsSync(join(memory.path, 'memory.memsw.limit_in_bytes'))
  }
  return namesIn(CGROUP_ROOT).some((name) => existsSync(join(CGROUP_ROOT, name, 'memory.swap.max')))
}

const limitsHugepages = ({ version, mounts }: CgroupHierarchies): boolean =>
  version === 1
    ? mounts.some(({ name }) => name.split(',').includes('hugetlb'))
    : contentOf(join(CGROUP_ROOT, 'cgroup.controllers')).split(/\s/).includes('hugetlb')

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // The kernel was built without.
  }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // The kernel was built without.
  }
}

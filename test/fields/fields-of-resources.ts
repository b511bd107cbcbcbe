import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Fields } from '#test/e2e/pod.ts'
import {
  type ContainerGroup,
  configJson,
  type Effect,
  effect,
  elsewhere,
  executed,
  type FieldTable,
  none,
  pidOf,
  processFile,
  statusOf,
  under,
} from './field-row.ts'
import { hugepages, keptResources } from './kept-resources.ts'

const MIB = 1 << 20
const isVersion2 = existsSync('/sys/fs/cgroup/cgroup.controllers')

/** A file of the container's cgroup: of the first controller that has it, on v1. */
const cgroupFile =
  (controller: string, version1: string, version2: string): Effect['seen'] =>
  (shown) => {
    const cgroups = readFileSync(`/proc/${pidOf(shown)}/cgroup`, 'utf8')
    const pattern = isVersion2 ? /^0::(.*)$/m : new RegExp(`:(?:\\w+,)*${controller}(?:,\\w+)*:(.*)`)
    const own = pattern.exec(cgroups)?.[1] ?? ''
    const directory = join('/sys/fs/cgroup', isVersion2 ? '' : controller, own)
    return readFileSync(join(directory, isVersion2 ? version2 : version1), 'utf8').trim()
  }

const quota = cgroupFile('cpu', 'cpu.cfs_quota_us', 'cpu.max')
const period = cgroupFile('cpu', 'cpu.cfs_period_us', 'cpu.max')
const shares = cgroupFile('cpu', 'cpu.shares', 'cpu.weight')
const cpus = cgroupFile('cpuset', 'cpuset.cpus', 'cpuset.cpus')
const memory = cgroupFile('memory', 'memory.limit_in_bytes', 'memory.max')
const swap = cgroupFile('memory', 'memory.memsw.limit_in_bytes', 'memory.swap.max')
const hugepageLimit = elsewhere('runtime/oci-spec/resources.test.ts', 'limits of huge pages')
const unified = elsewhere('test/e2e/resources.e2e.test.ts', 'unified settings are in force')
/** What is seen of a number on v1, and on v2. */
const seenAs = (version1: unknown, version2: unknown): unknown => (isVersion2 ? version2 : version1)

/** What runtimes make of 512 shares differs by their version; 100 is the kernel's. */
const weight = expect.stringMatching(/^(?!100$)\d+$/)

/** Of a container that is created with them. */
export const resources: ContainerGroup = {
  rows: under('config.linux.resources', {
    cpu_period: effect(50_000, period, seenAs('50000', '20000 50000')),
    cpu_quota: effect(20_000, quota, seenAs('20000', '20000 50000')),
    cpu_shares: effect(512, shares, seenAs('512', weight)),
    memory_limit_in_bytes: effect(64 * MIB, memory, `${64 * MIB}`),
    memory_swap_limit_in_bytes: effect(96 * MIB, swap, seenAs(`${96 * MIB}`, `${32 * MIB}`)),
    oom_score_adj: effect(900, processFile('oom_score_adj', /\d+/), '900'),
    cpuset_cpus: effect('0', cpus),
    // This host has one node only, so that no file would tell.
    cpuset_mems: effect('0', configJson('linux.resources.cpu.mems')),
    'hugepage_limits.page_size': hugepageLimit,
    'hugepage_limits.limit': hugepageLimit,
    unified,
  }),
}

/** Of UpdateContainerResourcesRequest, for a container that runs without any. */
export const updatedResources: FieldTable = {
  container_id: { seen: executed('true'), is: '', always: true },
  ...under('linux', {
    cpu_period: effect(50_000, period, seenAs('50000', '20000 50000')),
    cpu_quota: effect(20_000, quota, seenAs('20000', '20000 50000')),
    cpu_shares: effect(512, shares, seenAs('512', weight)),
    memory_limit_in_bytes: effect(64 * MIB, memory, `${64 * MIB}`),
    memory_swap_limit_in_bytes: effect(96 * MIB, swap, seenAs(`${96 * MIB}`, `${32 * MIB}`)),
    oom_score_adj: none('OCI runtimes set it at a creation only, so that the earlier one stays'),
    cpuset_cpus: effect('0', cpus),
    cpuset_mems: effect('0', statusOf('resources.linux.cpuset_mems')),
    'hugepage_limits.page_size': hugepageLimit,
    'hugepage_limits.limit': hugepageLimit,
    unified,
  }),
  annotations: elsewhere(
    'test/e2e/resource-classes.e2e.test.ts',
    'the limits of a blockio class are in force',
  ),
  'windows.*': none('this is Linux'),
}

/** Of UpdatePodSandboxResourcesRequest. */
export const updatedPodResources: FieldTable = {
  pod_sandbox_id: { seen: executed('true'), is: '', always: true },
  ...keptResources('overhead', 'overhead'),
  ...keptResources('resources', 'resources'),
}
export const podUpdateBase: Fields = { overhead: hugepages, resources: hugepages }

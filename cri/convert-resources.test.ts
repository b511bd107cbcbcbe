import { describe, expect, test } from 'vitest'
import { LinuxContainerResources } from '#proto/gen/runtime/v1/api.ts'
import { convertResources, resourcesToWire } from './convert-resources.ts'
import { noResources } from './fake-services.ts'

const none = LinuxContainerResources.decode(new Uint8Array())
const page = (pageSize: string, limit: bigint) => ({ hugepageLimits: [{ pageSize, limit }] })

test('what is not given stays zero', () => {
  expect(convertResources(undefined)).toEqual(noResources)
  expect(convertResources(none)).toEqual(noResources)
})

test('what is converted comes back the same', () => {
  const given: LinuxContainerResources = {
    ...none,
    cpuPeriod: 100_000n,
    cpuQuota: -1n,
    cpuShares: 262_144n,
    memoryLimitInBytes: 64n,
    memorySwapLimitInBytes: -1n,
    oomScoreAdj: -1000n,
    cpusetCpus: '0-3,7',
    cpusetMems: '0',
    ...page('2MB', 0n),
    unified: { 'memory.high': '32M', 'hugetlb.2MB.max': '0', 'io.bfq.weight': 'default 100' },
  }
  expect(resourcesToWire(convertResources(given))).toMatchObject(given)
})

describe('refused by its name', () => {
  test.for<[Partial<LinuxContainerResources>, string]>([
    [{ cpuPeriod: 999n }, 'cpu_period is 999: it may be 1000 to 1000000'],
    [{ cpuPeriod: -1n }, 'cpu_period is -1'],
    [{ cpuQuota: 999n }, 'cpu_quota is 999: it may be -1, 1000 or more'],
    [{ cpuQuota: -2n }, 'cpu_quota is -2'],
    [{ cpuShares: 1n }, 'cpu_shares is 1: it may be 2 to 262144'],
    [{ cpuShares: 262_145n }, 'cpu_shares is 262145'],
    [{ memoryLimitInBytes: -2n }, 'memory_limit_in_bytes is -2: it may be -1 or more'],
    [{ memoryLimitInBytes: 2n ** 60n }, 'memory_limit_in_bytes is 1152921504606846976: more than 2^53'],
    [{ memorySwapLimitInBytes: -2n }, 'memory_swap_limit_in_bytes is -2'],
    [{ oomScoreAdj: 1001n }, 'oom_score_adj is 1001: it may be -1000 to 1000'],
    [{ oomScoreAdj: -1001n }, 'oom_score_adj is -1001'],
    [{ cpusetCpus: 'all' }, 'cpuset_cpus is "all": it is a list like 0-3,7'],
    [{ cpusetCpus: '0-' }, 'cpuset_cpus is "0-"'],
    [{ cpusetMems: '0,,1' }, 'cpuset_mems is "0,,1"'],
    [page('2M', 1n), 'hugepage_limits[0].page_size is "2M": it is a size like 2MB'],
    [page('../2MB', 1n), 'hugepage_limits[0].page_size is "../2MB"'],
    [page('2MB', 2n ** 60n), 'hugepage_limits[0].limit is 1152921504606846976'],
    [{ unified: { 'memory.high': '' } }, 'unified["memory.high"] is ""'],
    [{ unified: { 'memory.high': '1\n2' } }, 'unified["memory.high"] is "1\\n2"'],
    [{ unified: { '../memory.max': '1' } }, 'unified["../memory.max"]: a key is the name of a file'],
    [{ unified: { 'memory/max': '1' } }, 'unified["memory/max"]'],
    [{ unified: { memory: '1' } }, 'unified["memory"]'],
  ])('%o: %s', ([changes, message]) => {
    expect(() => convertResources({ ...none, ...changes }, 'overhead')).toThrow(
      expect.objectContaining({
        kind: 'invalid-argument',
        message: expect.stringContaining(`overhead.${message}`),
      }),
    )
  })
})

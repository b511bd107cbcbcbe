import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeResources, toOciResources, toOciUpdate } from './resources.ts'
import { noResources, sampleHost } from './sample-input.ts'

const version1 = { ...sampleHost, cgroupVersion: 1 } as const

test('nothing asked for is nothing set', () => {
  expect(toOciResources(noResources, sampleHost)).toEqual({})
})

test('limits have the names of the specification', () => {
  const resources = {
    ...noResources,
    cpuPeriodUs: 100_000,
    cpuQuotaUs: 20_000,
    cpuShares: 102,
    cpusetCpus: '0-1',
    cpusetMems: '0',
    memoryLimitBytes: 64 << 20,
    memorySwapLimitBytes: 96 << 20,
    hugepageLimits: [{ pageSize: '2MB', limitBytes: 0 }],
    unified: { 'memory.high': '32M' },
  }
  expect(toOciResources(resources, sampleHost)).toEqual({
    cpu: { shares: 102, quota: 20_000, period: 100_000, cpus: '0-1', mems: '0' },
    memory: { limit: 64 << 20, swap: 96 << 20 },
    hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
    unified: { 'memory.high': '32M' },
  })
})

test.for([
  { limit: 100, swap: 0, accounts: true, memory: { limit: 100, swap: 100 } },
  { limit: 100, swap: 150, accounts: true, memory: { limit: 100, swap: 150 } },
  { limit: 100, swap: -1, accounts: true, memory: { limit: 100, swap: -1 } },
  { limit: 100, swap: 150, accounts: false, memory: { limit: 100 } },
])('a limit of $limit, with swap $swap, where swap is accounted ($accounts): $memory', (row) => {
  const resources = { ...noResources, memoryLimitBytes: row.limit, memorySwapLimitBytes: row.swap }
  expect(toOciResources(resources, { ...sampleHost, swapLimits: row.accounts }).memory).toEqual(row.memory)
})

test.for([
  [{ memorySwapLimitBytes: 5 }, 'memory_swap_limit_in_bytes is 5, but memory_limit_in_bytes is not given'],
  [
    { memoryLimitBytes: -1, memorySwapLimitBytes: 5 },
    'memory_swap_limit_in_bytes is 5, but memory_limit_in_bytes is not given',
  ],
  [
    { memoryLimitBytes: 10, memorySwapLimitBytes: 5 },
    'memory_swap_limit_in_bytes is 5, less than memory_limit_in_bytes (10)',
  ],
] as const)('%o: %s', ([changes, message]) => {
  expect(() => toOciResources({ ...noResources, ...changes }, sampleHost)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test('a CPU quota of -1 is left out of a new container, and given in an update', () => {
  const resources = { ...noResources, cpuQuotaUs: -1 }
  expect(toOciResources(resources, sampleHost)).toEqual({})
  expect(toOciUpdate(resources, sampleHost)).toEqual({ cpu: { quota: -1 } })
})

test('an update asks the OCI runtime to look at the usage before it lowers the memory', () => {
  expect(toOciUpdate({ ...noResources, memoryLimitBytes: 100 }, sampleHost).memory).toEqual({
    limit: 100,
    swap: 100,
    checkBeforeUpdate: true,
  })
  expect(toOciUpdate({ ...noResources, cpuShares: 2 }, sampleHost)).toEqual({ cpu: { shares: 2 } })
})

test('limits of huge pages that the host cannot limit are left out', () => {
  const hugepageLimits = [{ pageSize: '1GB', limitBytes: 0 }]
  expect(toOciResources({ ...noResources, hugepageLimits }, sampleHost)).toEqual({})
})

test('unified settings are refused on cgroup v1', () => {
  const resources = { ...noResources, unified: { 'memory.high': '1' } }
  expect(() => toOciResources(resources, version1)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining('memory.high') }),
  )
})

test('an update replaces what it gives and keeps the rest', () => {
  const current = {
    ...noResources,
    cpuShares: 100,
    memoryLimitBytes: 5,
    cpusetCpus: '0',
    hugepageLimits: [
      { pageSize: '2MB', limitBytes: 1 },
      { pageSize: '1GB', limitBytes: 2 },
    ],
    unified: { a: '1', b: '1' },
  }
  const update = {
    ...noResources,
    cpuShares: 200,
    cpusetMems: '1',
    hugepageLimits: [{ pageSize: '1GB', limitBytes: 0 }],
    unified: { b: '2' },
  }
  expect(mergeResources(current, update)).toEqual({
    ...current,
    cpuShares: 200,
    cpusetMems: '1',
    hugepageLimits: [
      { pageSize: '2MB', limitBytes: 1 },
      { pageSize: '1GB', limitBytes: 0 },
    ],
    unified: { a: '1', b: '2' },
  })
})

test('an update leaves the OOM score as it is: no OCI runtime takes it, so it is not told as changed', () => {
  const current = { ...noResources, oomScoreAdj: 100 }
  expect(mergeResources(current, { ...noResources, oomScoreAdj: 900 })).toEqual(current)
})

test.for([
  { from: 100, memory: 150, swap: 0, to: 150 },
  { from: 100, memory: 150, swap: 120, to: 120 },
  { from: 100, memory: 50, swap: 0, to: 100 },
  { from: 0, memory: 150, swap: 0, to: 0 },
  { from: -1, memory: 150, swap: 0, to: -1 },
])('with memory $memory, swap $swap an earlier swap limit of $from becomes $to', (row) => {
  const current = { ...noResources, memoryLimitBytes: 100, memorySwapLimitBytes: row.from }
  const update = { ...noResources, memoryLimitBytes: row.memory, memorySwapLimitBytes: row.swap }
  expect(mergeResources(current, update)).toMatchObject({
    memoryLimitBytes: row.memory,
    memorySwapLimitBytes: row.to,
  })
})

test('an empty update changes nothing, and an update twice is an update once', () => {
  const anyResources = fc.record({
    cpuPeriodUs: fc.nat(),
    cpuQuotaUs: fc.integer(),
    cpuShares: fc.nat(),
    memoryLimitBytes: fc.nat(),
    memorySwapLimitBytes: fc.integer(),
    oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
    cpusetCpus: fc.string(),
    cpusetMems: fc.string(),
    hugepageLimits: fc.constant([]),
    unified: fc.dictionary(fc.string(), fc.string()),
  })
  fc.assert(
    fc.property(anyResources, anyResources, (current, update) => {
      expect(mergeResources(current, noResources)).toEqual(current)
      const once = mergeResources(current, update)
      expect(mergeResources(once, update)).toEqual(once)
    }),
  )
})

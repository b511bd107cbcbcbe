import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseInterfaces, parsePressure, usageOfVersion1, usageOfVersion2 } from './usage-counters.ts'

const read =
  (files: { readonly [file: string]: string }) =>
  (file: string): string | undefined =>
    files[file]
const none = { cpu: undefined, memory: undefined, io: undefined }

test('version 2: working set is what is used without the inactive page cache, CPU comes in microseconds', () => {
  const usage = usageOfVersion2(
    read({
      'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n',
      'memory.current': '5000\n',
      'memory.max': '8000\n',
      'memory.stat': 'anon 1000\nfile 2000\ninactive_file 1500\npgfault 7\npgmajfault 2\n',
      'memory.swap.current': '300\n',
      'memory.swap.max': 'max\n',
      'pids.current': '3\n',
    }),
  )
  expect(usage).toEqual({
    cpuNs: 1_500_000,
    memory: {
      usageBytes: 5000,
      workingSetBytes: 3500,
      rssBytes: 1000,
      pageFaults: 7,
      majorPageFaults: 2,
      limitBytes: 8000,
    },
    swap: { usageBytes: 300, limitBytes: undefined },
    tasks: 3,
    pressure: none,
  })
})

test('version 2: a cgroup without controllers still tells its CPU time', () => {
  expect(usageOfVersion2(read({ 'cpu.stat': 'usage_usec 1\n' }))).toEqual({
    cpuNs: 1000,
    memory: undefined,
    swap: undefined,
    tasks: undefined,
    pressure: none,
  })
})

const memory1 = {
  'memory.usage_in_bytes': '5000\n',
  'memory.limit_in_bytes': '8000\n',
  'memory.memsw.limit_in_bytes': '9000\n',
  'memory.stat': [
    'rss 1\ninactive_file 1\nswap 1\npgfault 1\npgmajfault 1',
    'total_rss 1000\ntotal_inactive_file 1500\ntotal_swap 300\ntotal_pgfault 7\ntotal_pgmajfault 2\n',
  ].join('\n'),
}

test('version 1: the totals count, with what is below; swap may have what memory and swap have beyond memory', () => {
  const usage = usageOfVersion1({
    cpuacct: read({ 'cpuacct.usage': '1500000\n' }),
    memory: read(memory1),
    pids: read({ 'pids.current': '3\n' }),
  })
  expect(usage).toEqual({
    cpuNs: 1_500_000,
    memory: {
      usageBytes: 5000,
      workingSetBytes: 3500,
      rssBytes: 1000,
      pageFaults: 7,
      majorPageFaults: 2,
      limitBytes: 8000,
    },
    swap: { usageBytes: 300, limitBytes: 1000 },
    tasks: 3,
    pressure: none,
  })
})

test('version 1: the biggest number of pages is no limit', () => {
  const unlimited = '9223372036854771712\n'
  const { memory, swap } = usageOfVersion1({
    cpuacct: read({}),
    memory: read({
      ...memory1,
      'memory.limit_in_bytes': unlimited,
      'memory.memsw.limit_in_bytes': unlimited,
    }),
    pids: read({}),
  })
  expect([memory?.limitBytes, swap?.limitBytes]).toEqual([undefined, undefined])
})

test('more inactive cache than use, which is counted later, is no negative working set', () => {
  const usage = usageOfVersion2(read({ 'memory.current': '10\n', 'memory.stat': 'inactive_file 20\n' }))
  expect(usage.memory?.workingSetBytes).toBe(0)
})

test('pressure: percentages, and a total that comes in microseconds', () => {
  const some = 'some avg10=1.25 avg60=0.50 avg300=0.10 total=4711\n'
  expect(parsePressure(`${some}full avg10=0.00 avg60=0.00 avg300=0.01 total=11\n`)).toEqual({
    some: { totalNs: 4_711_000, avg10: 1.25, avg60: 0.5, avg300: 0.1 },
    full: { totalNs: 11_000, avg10: 0, avg60: 0, avg300: 0.01 },
  })
  expect(parsePressure(some)?.full).toBeUndefined()
  expect(parsePressure(undefined)).toBeUndefined()
})

test('interfaces: bytes and errors of both directions, without the loopback', () => {
  const row = fc.record({
    name: fc.stringMatching(/^[a-z][a-z0-9.@-]{0,14}$/),
    counts: fc.array(fc.nat(), counts(16)),
  })
  fc.assert(
    fc.property(fc.array(row), (rows) => {
      const lines = rows.map(({ name, counts: numbers }) => `${name.padStart(6)}: ${numbers.join('     ')}`)
      const text = ['Inter-|   Receive | Transmit', ' face |bytes packets|bytes packets', ...lines, ''].join(
        '\n',
      )
      expect(parseInterfaces(text)).toEqual(
        rows
          .filter(({ name }) => name !== 'lo')
          .map(({ name, counts: [receivedBytes, , receiveErrors, , , , , , sentBytes, , sendErrors] }) => ({
            ...{ name, receivedBytes, receiveErrors, sentBytes, sendErrors },
          })),
      )
    }),
  )
})

function counts(length: number) {
  return { minLength: length, maxLength: length }
}

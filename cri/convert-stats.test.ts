import { describe, expect, test } from 'vitest'
import type { Usage } from '#runtime/services.ts'
import { containerStatsToWire, sandboxStatsToWire } from './convert-stats.ts'
import { containerRecord, containerSpec, sandboxRecord, sandboxSpec } from './fake-services.ts'

const pressureOf = (totalNs: number) => ({
  some: { totalNs, avg10: 1.5, avg60: 0.5, avg300: 0.1 },
  full: undefined,
})
const usage: Usage = {
  atNs: '1700000000123456789',
  cpuNs: 5_000,
  nanoCores: 7,
  memory: {
    ...{ usageBytes: 100, workingSetBytes: 90, rssBytes: 80, pageFaults: 3, majorPageFaults: 1 },
    limitBytes: 1000,
  },
  swap: { usageBytes: 10, limitBytes: 50 },
  tasks: 4,
  pressure: { cpu: pressureOf(1), memory: pressureOf(2), io: pressureOf(3) },
}
const record = containerRecord({ spec: containerSpec({ labels: { app: 'web' }, annotations: { a: 'b' } }) })
const written = { atNs: '1700000000000000000', path: '/var/lib/cri-ts', usedBytes: 4096, usedInodes: 2 }
const timestamp = 1700000000123456789n

describe('of a container', () => {
  test('all that is known is told, with where it is from', () => {
    const psi = (Total: bigint) => ({ Some: { Total, Avg10: 1.5, Avg60: 0.5, Avg300: 0.1 }, Full: undefined })
    expect(containerStatsToWire({ record, usage, written })).toEqual({
      attributes: {
        id: 'c1',
        metadata: { name: 'nginx', attempt: 0 },
        labels: { app: 'web' },
        annotations: { a: 'b' },
      },
      cpu: { timestamp, usageCoreNanoSeconds: { value: 5000n }, usageNanoCores: { value: 7n }, psi: psi(1n) },
      memory: {
        timestamp,
        workingSetBytes: { value: 90n },
        availableBytes: { value: 910n },
        usageBytes: { value: 100n },
        rssBytes: { value: 80n },
        pageFaults: { value: 3n },
        majorPageFaults: { value: 1n },
        psi: psi(2n),
      },
      swap: { timestamp, swapAvailableBytes: { value: 40n }, swapUsageBytes: { value: 10n } },
      io: { timestamp, psi: psi(3n) },
      writableLayer: {
        timestamp: 1700000000000000000n,
        fsId: { mountpoint: '/var/lib/cri-ts' },
        usedBytes: { value: 4096n },
        inodesUsed: { value: 2n },
      },
    })
  })

  test('without a limit nothing is said to be available', () => {
    const unlimited = { ...usage, memory: usage.memory && { ...usage.memory, limitBytes: undefined } }
    expect(containerStatsToWire({ record, usage: unlimited, written }).memory?.availableBytes).toBeUndefined()
  })

  test('that does not run there are its attributes alone', () => {
    const stats = containerStatsToWire({ record, usage: undefined, written: undefined })
    const { attributes, ...others } = stats
    expect(attributes?.id).toBe('c1')
    expect(Object.values(others).filter((value) => value !== undefined)).toEqual([])
  })
})

describe('of a sandbox', () => {
  const link = (name: string) => ({ name, receivedBytes: 1, receiveErrors: 2, sentBytes: 3, sendErrors: 4 })
  const stats = {
    record: sandboxRecord({ spec: sandboxSpec({ labels: { app: 'web' } }) }),
    atNs: usage.atNs,
    usage,
    network: { atNs: usage.atNs, interfaces: [link('net1'), link('eth0')] },
    containers: [{ record, usage, written }],
  }

  test('the interface eth0 is the default, all are listed', () => {
    const { attributes, linux } = sandboxStatsToWire(stats)
    expect(attributes).toMatchObject({
      id: 's1',
      metadata: { name: 'web', uid: 'u1' },
      labels: { app: 'web' },
    })
    expect(linux?.network?.defaultInterface).toEqual({
      name: 'eth0',
      rxBytes: { value: 1n },
      rxErrors: { value: 2n },
      txBytes: { value: 3n },
      txErrors: { value: 4n },
    })
    expect(linux?.network?.interfaces.map(({ name }) => name)).toEqual(['net1', 'eth0'])
  })

  test('it has its processes and its containers', () => {
    const { linux } = sandboxStatsToWire(stats)
    expect(linux?.process).toEqual({ timestamp, processCount: { value: 4n } })
    expect(linux?.containers.map(({ attributes }) => attributes?.id)).toEqual(['c1'])
    expect([linux?.cpu?.usageCoreNanoSeconds?.value, linux?.memory?.usageBytes?.value]).toEqual([5000n, 100n])
  })

  test('without processes it has none', () => {
    const { linux } = sandboxStatsToWire({ ...stats, usage: undefined, network: undefined, containers: [] })
    expect(linux).toMatchObject({
      process: { processCount: { value: 0n } },
      cpu: undefined,
      network: undefined,
    })
  })
})

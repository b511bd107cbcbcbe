import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SelinuxLabels } from '../pod-sandbox/record.ts'
import { containerLabels, podLabels, sharedLabel } from './labels.ts'

const policy = {
  process: 'system_u:system_r:container_t:s0',
  file: 'system_u:object_r:container_file_t:s0',
}
const nothing = { user: '', role: '', type: '', level: '' }
const zero = () => 0

describe("a pod's labels", () => {
  test("are the policy's, with the same pair of categories on both", () => {
    expect(podLabels(undefined, policy, [], zero)).toEqual({
      process: 'system_u:system_r:container_t:s0:c0,c1',
      mount: 'system_u:object_r:container_file_t:s0:c0,c1',
    })
  })

  test('have two categories in order, and no pair twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1024 ** 2 - 1), { minLength: 1, maxLength: 50 }), (starts) => {
        const pods: SelinuxLabels[] = []
        for (const start of starts) pods.push(podLabels(undefined, policy, pods, () => start))
        const levels = pods.map(({ process }) => process.split(':').slice(3).join(':'))
        for (const level of levels) {
          const [, first, second] = /^s0:c(\d+),c(\d+)$/.exec(level) ?? []
          expect(Number(first)).toBeLessThan(Number(second))
          expect(Number(second)).toBeLessThan(1024)
        }
        expect(new Set(levels).size).toBe(levels.length)
      }),
    )
  })

  test('take the pair after the last from the beginning', () => {
    const last = podLabels(undefined, policy, [], () => 1024 ** 2 - 1)
    expect(last.process).toContain(':s0:c0,c1')
    expect(podLabels(undefined, policy, [last], () => 1024 ** 2 - 1).process).toContain(':s0:c0,c2')
  })

  test('are refused when no pair is left', { timeout: 30_000 }, () => {
    // There are half a million.
    const all: SelinuxLabels[] = []
    for (let first = 0; first < 1024; first += 1)
      for (let second = first + 1; second < 1024; second += 1)
        all.push({ process: `u:r:t:s0:c${first},c${second}`, mount: '' })
    const free = all.pop()?.process
    expect(podLabels(undefined, policy, all).process).toContain(free?.replace('u:r:t', ''))
    const none = [...all, { process: free ?? '', mount: '' }]
    expect(() => podLabels(undefined, policy, none)).toThrow(
      expect.objectContaining({ kind: 'resource-exhausted' }),
    )
  })

  test('have what is asked for: files have no role and no type of processes', () => {
    const asked = { user: 'staff_u', role: 'staff_r', type: 'spc_t', level: '' }
    expect(podLabels(asked, policy, [], zero)).toEqual({
      process: 'staff_u:staff_r:spc_t:s0:c0,c1',
      mount: 'staff_u:object_r:container_file_t:s0:c0,c1',
    })
  })

  test('have the level that is asked for, though another pod has it', () => {
    const asked = { ...nothing, level: 's0:c1,c2' }
    const first = podLabels(asked, policy, [])
    expect(first.process).toBe('system_u:system_r:container_t:s0:c1,c2')
    expect(podLabels(asked, policy, [first])).toEqual(first)
  })

  test('have no level where the policy has none', () => {
    const labels = podLabels(undefined, { process: 'u:r:container_t', file: 'u:r:file_t' }, [])
    expect(labels).toEqual({ process: 'u:r:container_t', mount: 'u:r:file_t' })
    expect(sharedLabel(labels)).toBe('u:r:file_t')
  })

  test('have the sensitivity of a range', () => {
    const range = { ...policy, process: 'system_u:system_r:container_t:s1-s3:c0.c1023' }
    expect(podLabels(undefined, range, [], zero).mount).toBe('system_u:object_r:container_file_t:s1:c0,c1')
  })
})

test("a container has its pod's labels, but for what it asks for", () => {
  const pod = podLabels(undefined, policy, [], zero)
  expect(containerLabels(pod, undefined)).toEqual(pod)
  expect(containerLabels(pod, { ...nothing, type: 'spc_t' })).toEqual({
    ...pod,
    process: 'system_u:system_r:spc_t:s0:c0,c1',
  })
  expect(containerLabels(pod, { ...nothing, level: 's0:c7' })).toEqual({
    process: 'system_u:system_r:container_t:s0:c7',
    mount: 'system_u:object_r:container_file_t:s0:c7',
  })
})

test("what all of a pod's containers share has no categories", () => {
  const pod = podLabels(undefined, policy, [], zero)
  expect(sharedLabel(pod)).toBe('system_u:object_r:container_file_t:s0')
})

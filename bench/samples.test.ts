import { expect, test } from 'vitest'
import { latencyOf, Samples } from './samples.ts'

test('percentiles are those of the sorted values', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(latencyOf('x', values)).toEqual({ name: 'x', n: 100, min: 1, p50: 51, p95: 96, max: 100 })
})

test('names keep the order in which they were met', async () => {
  const samples = new Samples()
  samples.add('b', 2)
  samples.add('a', 1)
  expect(await samples.time('b', async () => 'done')).toBe('done')
  expect(samples.latencies().map(({ name, n }) => [name, n])).toEqual([
    ['b', 2],
    ['a', 1],
  ])
})

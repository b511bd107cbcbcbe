import { afterEach, beforeEach, expect, test } from 'vitest'
import { Metrics } from '#lib/metrics.ts'
import { digestOf } from '#test/fakes/fake-registry.ts'
import { answerWith, breakOff } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'
import { pullMetrics } from './pull-metrics.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const of = (name: string): string[] => lab.counts().filter((line) => line.startsWith(`cri_ts_${name}`))

test('before any pull each result is there, so that the first failure can be seen as a rise', () => {
  const metrics = new Metrics()
  pullMetrics(metrics)
  expect(metrics.text()).toContain('cri_ts_image_pulls_total{result="unavailable"} 0\n')
  expect(metrics.text()).toContain('cri_ts_image_layers_total{source="reused"} 0\n')
})

test('a pull is counted with its bytes, its layers and how long it took', async () => {
  const first = lab.registry.addImage('a', 'v1', { layers: ['one', 'two'] })
  lab.registry.addImage('a', 'v2', { layers: ['one', 'three'], user: '1' })
  await lab.pull('a:v1')
  const bytes = first.layers.reduce((sum, { blob }) => sum + blob.length, 0)
  expect(of('image_pull')).toContain(`cri_ts_image_pull_bytes_total ${bytes}`)
  await lab.pull('a:v2')
  expect(of('image')).toEqual(
    expect.arrayContaining([
      'cri_ts_image_pulls_total{result="success"} 2',
      'cri_ts_image_layers_total{source="fetched"} 3',
      'cri_ts_image_layers_total{source="reused"} 1',
      'cri_ts_image_pull_duration_seconds_bucket{le="0.1"} 2',
      'cri_ts_image_pull_duration_seconds_count 2',
    ]),
  )
})

test('callers who share a pull are one pull, and it is in progress while it lasts', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const held = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  lab.registry.misbehave(/GET .*blobs/, (_response, answer) => {
    held.resolve()
    void go.promise.then(answer)
  })
  const both = [lab.pull('a:v1'), lab.pull('a:v1')]
  await held.promise
  expect(of('image_pulls')).toEqual(['cri_ts_image_pulls_in_progress 1'])
  go.resolve()
  expect(await Promise.all(both)).toEqual([image.id, image.id])
  expect(of('image_pulls')).toEqual(['cri_ts_image_pulls_total{result="success"} 1'])
})

test('a failed pull is counted by the kind of its error, one that was given up as cancelled', async () => {
  const image = lab.registry.addImage('a', 'v1')
  await lab.failureOf('none:v1')
  const held = Promise.withResolvers<void>()
  lab.registry.misbehave(/GET .*blobs/, () => held.resolve())
  const caller = new AbortController()
  const pulled = lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, caller.signal)
  await held.promise
  caller.abort()
  await expect(pulled).rejects.toMatchObject({ kind: 'cancelled' })
  expect(await lab.pull('a:v1')).toBe(image.id)
  await expect
    .poll(() => of('image_pulls').toSorted())
    .toEqual([
      'cri_ts_image_pulls_total{result="cancelled"} 1',
      'cri_ts_image_pulls_total{result="not-found"} 1',
      'cri_ts_image_pulls_total{result="success"} 1',
    ])
})

test('requests are counted by endpoint and outcome, retries beside them', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  lab.registry.misbehave(/^HEAD/, answerWith(503))
  lab.registry.misbehave(new RegExp(`GET .*blobs/${digestOf(blob)}`), breakOff(blob, 3))
  await lab.pull('a:v1')
  const { host } = lab.registry
  expect(of('registry').toSorted()).toEqual([
    `cri_ts_registry_requests_total{endpoint="${host}",outcome="200"} 4`,
    `cri_ts_registry_requests_total{endpoint="${host}",outcome="206"} 1`,
    `cri_ts_registry_requests_total{endpoint="${host}",outcome="503"} 1`,
    `cri_ts_registry_retries_total{endpoint="${host}"} 2`,
  ])
})

test('an endpoint that does not answer is unreachable once, then skipped', async () => {
  const image = lab.registry.addImage('a', 'v1')
  await lab.configureMirror('[host."http://127.0.0.1:1"]')
  expect(await lab.pull('a:v1')).toBe(image.id)
  const mirrored = of('registry').filter((line) => line.includes('127.0.0.1:1"'))
  expect(mirrored).toEqual([
    'cri_ts_registry_requests_total{endpoint="127.0.0.1:1",outcome="unreachable"} 1',
    'cri_ts_registry_skips_total{endpoint="127.0.0.1:1"} 3',
  ])
})

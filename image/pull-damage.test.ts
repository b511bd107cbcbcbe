import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '#test/fakes/fake-registry.ts'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

test('a manifest that is not its digest is refused', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/^GET .*manifests/, answerWith(200, {}, '{}'), 9)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('unavailable')
  expect(message).toContain(`for ${image.manifestDigest} has the digest ${digestOf(Buffer.from('{}'))}`)
})

test('a config that is not its digest is refused', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(
    new RegExp(`blobs/${image.id}`),
    answerWith(200, {}, '{"rootfs":{"diff_ids":[]}}'),
    9,
  )
  expect((await lab.failureOf('a:v1')).message).toContain('it is damaged or forged')
  expect(lab.store.list()).toEqual([])
})

test('a config with more layers than the manifest is refused', async () => {
  const image = lab.registry.addImage('a', 'v1', { layers: ['1', '2'] })
  const manifest = JSON.parse(image.manifest.toString()) as { layers: object[] }
  lab.registry.addManifest('a', 'v2', { ...manifest, layers: manifest.layers.slice(1) })
  expect((await lab.failureOf('a:v2')).message).toContain('its manifest has 1 layers, its config 2')
})

test('a layer that is longer or shorter than the manifest says is refused', async () => {
  const { layers } = lab.registry.addImage('a', 'v1')
  const blob = layers[0]?.blob ?? Buffer.alloc(0)
  const path = new RegExp(`GET .*blobs/${digestOf(blob)}`)
  lab.registry.misbehave(path, answerWith(200, {}, Buffer.concat([blob, blob])))
  expect((await lab.failureOf('a:v1')).message).toContain(`more than the ${blob.length} bytes`)
  lab.registry.ranges = false
  lab.registry.misbehave(path, answerWith(200, {}, blob.subarray(1)), 3)
  expect((await lab.failureOf('a:v1')).message).toContain(
    `ended after ${blob.length - 1} of ${blob.length} bytes`,
  )
  expect(lab.store.list()).toEqual([])
})

test('an endless manifest is cut off', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/GET .*manifests/, answerWith(200, {}, Buffer.alloc(9 << 20)))
  expect((await lab.failureOf('a:v1')).message).toContain('longer than 8388608 bytes')
})

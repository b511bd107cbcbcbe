import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  ContainerStatus,
  ImageServiceDefinition,
  KeyValue,
  PodSandboxConfig,
  RuntimeServiceDefinition,
} from './gen/runtime/v1/api.ts'
import { normaliseProto } from './normalise.ts'

test('the CRI has 43 RPCs: 37 of pods and containers, 6 of images', () => {
  expect(Object.keys(RuntimeServiceDefinition.methods)).toHaveLength(37)
  expect(Object.keys(ImageServiceDefinition.methods)).toHaveLength(6)
})

test('the definition that clients load is the one that the code is generated from', () => {
  const definition = readFileSync(new URL('runtime/v1/api.proto', import.meta.url), 'utf8')
  const [madeFrom, ...rest] = definition.split('\n')
  expect(madeFrom).toContain('k8s.io/cri-api@v')
  expect(rest.join('\n')).toBe(normaliseProto(definition))
  expect(definition.match(/^ {2}rpc /gm)).toHaveLength(43)
})

test('an environment value is bytes, a time a bigint', () => {
  const value = Buffer.from([0xff, 0x00])
  expect(KeyValue.decode(KeyValue.encode({ key: 'A', value }).finish()).value).toEqual(value)
  const empty = ContainerStatus.decode(new Uint8Array())
  const createdAt = 1_700_000_000_123_456_789n
  const copy = ContainerStatus.decode(ContainerStatus.encode({ ...empty, createdAt }).finish())
  expect(copy.createdAt).toBe(createdAt)
})

test('every key of a map arrives, also one that objects inherit', () => {
  const labels: { [key: string]: string } = JSON.parse('{ "__proto__": "a", "constructor": "b", "c": "d" }')
  const empty = PodSandboxConfig.decode(new Uint8Array())
  const copy = PodSandboxConfig.decode(
    PodSandboxConfig.encode({ ...empty, labels, annotations: labels }).finish(),
  )
  expect(Object.entries(copy.labels)).toEqual(Object.entries(labels))
  expect(Object.entries({ ...copy.annotations })).toEqual(Object.entries(labels))
})

import { expect, test } from 'vitest'
import { Creations } from './creations.ts'

const nothing = () => undefined
const made = (spec: object, phase = 'ready') => ({ id: 'id-1', spec, phase })

test('a request repeated while the first is under way joins it', async () => {
  const creations = new Creations('pod sandbox')
  const { promise, resolve } = Promise.withResolvers<string>()
  const first = creations.once('web', { a: 1, b: 2 }, nothing, 'ready', () => promise)
  const second = creations.once('web', { b: 2, a: 1 }, nothing, 'ready', () => Promise.resolve('another'))
  resolve('id-1')
  expect(await Promise.all([first, second])).toEqual(['id-1', 'id-1'])
})

test('those who joined get its failure, and the next request tries anew', async () => {
  const creations = new Creations('pod sandbox')
  const { promise, reject } = Promise.withResolvers<string>()
  const both = [1, 2].map(() => creations.once('web', {}, nothing, 'ready', () => promise))
  reject(new Error('no network'))
  for (const outcome of await Promise.allSettled(both)) expect(outcome).toMatchObject({ status: 'rejected' })
  expect(await creations.once('web', {}, nothing, 'ready', async () => 'id-2')).toBe('id-2')
})

test('one that is as it was made is the answer to the same request', async () => {
  const make = () => Promise.reject(new Error('made twice'))
  const creations = new Creations('pod sandbox')
  expect(await creations.once('web', { a: 1 }, () => made({ a: 1 }), 'ready', make)).toBe('id-1')
})

test.for<[string, () => ReturnType<typeof made>, RegExp]>([
  ['in another phase', () => made({ a: 1 }, 'stopped'), /pod sandbox web exists: it is id-1 and is stopped/],
  ['of another configuration', () => made({ a: 2 }), /it is id-1, ready, with another configuration/],
])('one %s is refused by id and phase, with what to do', async ([, existing, message]) => {
  const make = () => Promise.reject(new Error('made twice'))
  const refusal = new Creations('pod sandbox').once('web', { a: 1 }, existing, 'ready', make)
  await expect(refusal).rejects.toMatchObject({
    kind: 'already-exists',
    message: expect.stringMatching(message),
  })
  await expect(refusal).rejects.not.toThrow(/reserved/)
  await expect(refusal).rejects.toThrow(/remove it first/)
})

test('another configuration under the name of one being created is refused', async () => {
  const creations = new Creations('container')
  const { promise, resolve } = Promise.withResolvers<string>()
  const first = creations.once('web', { a: 1 }, nothing, 'created', () => promise)
  const refusal = creations.once('web', { a: 2 }, nothing, 'created', () => promise)
  await expect(refusal).rejects.toMatchObject({ kind: 'already-exists' })
  resolve('id-1')
  await first
})

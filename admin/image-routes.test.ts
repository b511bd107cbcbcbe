import { mkdtempSync, rmSync } from 'node:fs'
import { request as requestOf } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { digestOf } from '#test/fakes/fake-registry.ts'
import { breakOff } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'
import { adminClient, adminSocket } from './client.ts'
import { type ImageClient, imageClient } from './image-client.ts'
import { imageRoutes } from './image-routes.ts'
import { serveAdmin } from './server.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

const HANGING = '/hanging.tar'
let begun: PromiseWithResolvers<void>
let givenUp: PromiseWithResolvers<void>
/** Until the signal ends it. */
async function hang(signal: AbortSignal): Promise<void> {
  begun.resolve()
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  givenUp.resolve()
}

let lab: PullLab
let socketPath: string
let client: ImageClient
let imported: unknown[]
let exported: unknown[]
beforeEach(async () => {
  lab = await pullLab()
  begun = Promise.withResolvers()
  givenUp = Promise.withResolvers()
  imported = []
  exported = []
  const state = mkdtempSync(join(tmpdir(), 'admin-'))
  const routes = imageRoutes({
    store: lab.store,
    puller: lab.puller,
    async importArchive(path, name, signal) {
      imported.push({ path, name })
      if (path === HANGING) await hang(signal)
      return [{ id: 'sha256:1', names: [name ?? path] }]
    },
    exporter: {
      async export(references, path, options) {
        exported.push({ references, path, ...options })
        return [{ id: 'sha256:1', tags: references }]
      },
    },
  })
  socketPath = adminSocket(state)
  const server = await serveAdmin(socketPath, { routes, log: quiet })
  client = imageClient(adminClient(socketPath))
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(state, { recursive: true })
  })
})
afterEach(() => lab[Symbol.asyncDispose]())

async function linesOf<Line>(lines: AsyncIterable<Line>): Promise<Line[]> {
  const all: Line[] = []
  for await (const line of lines) all.push(line)
  return all
}

test('an archive is imported under the name that is given', async () => {
  expect(await client.importArchive('/a b.tar', 'web:1')).toEqual([{ id: 'sha256:1', names: ['web:1'] }])
  expect(await client.importArchive('/b.tar', undefined)).toEqual([{ id: 'sha256:1', names: ['/b.tar'] }])
  expect(imported).toEqual([
    { path: '/a b.tar', name: 'web:1' },
    { path: '/b.tar', name: undefined },
  ])
})

test('who hangs up gives an import up', async () => {
  const call = requestOf({ socketPath, method: 'POST', path: '/v1/images/import' })
  call.on('error', () => {}) // That it was hung up.
  call.end(JSON.stringify({ path: HANGING }))
  await begun.promise
  call.destroy()
  await givenUp.promise
})

test('images are exported as it is asked', async () => {
  const request = { images: ['a', 'b'], path: '/a b.tar', format: 'docker', compression: 'none' } as const
  expect(await client.exportArchive(request)).toEqual([{ id: 'sha256:1', names: ['a', 'b'] }])
  expect(exported).toEqual([
    { references: ['a', 'b'], path: '/a b.tar', format: 'docker', compression: 'none' },
  ])
  const none = client.exportArchive({ ...request, images: [] })
  await expect(none).rejects.toMatchObject({ kind: 'invalid-argument' })
})

test('a relative path is refused: the daemon has another working directory', async () => {
  await expect(client.importArchive('a.tar', undefined)).rejects.toMatchObject({ kind: 'invalid-argument' })
})

test('a pull tells of its layers, and answers the id in the last line', async () => {
  const image = lab.registry.addImage('a', 'v1', { layers: ['one', 'two'] })
  const lines = await linesOf(client.pull({ reference: `${lab.registry.host}/a:v1` }))
  expect(lines.at(-1)).toEqual({ id: image.id })
  const layers: object = Object.assign({}, ...lines.map((line) => ('layers' in line ? line.layers : {})))
  const sizes = image.layers.map(({ blob }) => blob.length)
  expect(layers).toEqual({
    0: { digest: digestOfLayer(0), phase: 'done', receivedBytes: sizes[0], sizeBytes: sizes[0] },
    1: { digest: digestOfLayer(1), phase: 'done', receivedBytes: sizes[1], sizeBytes: sizes[1] },
  })
  function digestOfLayer(index: number): string {
    return digestOf(image.layers[index]?.blob ?? Buffer.alloc(0))
  }
})

test('a pull takes credentials along', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.auth = { kind: 'basic', username: 'u', password: 'p' }
  const reference = `${lab.registry.host}/a:v1`
  const denied = linesOf(client.pull({ reference, auth: { username: 'u', password: 'wrong' } }))
  await expect(denied).rejects.toMatchObject({ kind: 'unauthenticated' })
  const lines = await linesOf(client.pull({ reference, auth: { username: 'u', password: 'p' } }))
  expect(lines.at(-1)).toEqual({ id: image.id })
})

test('a pull that fails on its way throws what went wrong, whatever it told before', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  lab.registry.misbehave(new RegExp(`GET .*blobs/${digestOf(blob)}`), breakOff(blob, 3), 9)
  const pulled = linesOf(client.pull({ reference: `${lab.registry.host}/a:v1` }))
  await expect(pulled).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(lab.registry.host),
  })
})

test('who stops reading gives the pull up, unless another wants it', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const go = Promise.withResolvers<void>()
  const digest = digestOf(image.layers[0]?.blob ?? Buffer.alloc(0))
  const gone = Promise.withResolvers<void>()
  lab.registry.misbehave(
    new RegExp(`GET .*blobs/${digest}`),
    (response, answer) => {
      held.shift()?.resolve()
      response.on('close', () => gone.resolve())
      void go.promise.then(answer)
    },
    2,
  )
  const [first, second] = [held[0]?.promise, held[1]?.promise]
  const reference = `${lab.registry.host}/a:v1`
  const alone = client.pull({ reference })
  await alone.next()
  await first
  await alone.return(undefined)
  await gone.promise
  expect(lab.store.list()).toEqual([])

  const left = client.pull({ reference })
  await left.next()
  await second
  const stays = linesOf(client.pull({ reference }))
  const joined = client.pull({ reference })
  await joined.next()
  await joined.return(undefined)
  await left.return(undefined)
  go.resolve()
  expect((await stays).at(-1)).toEqual({ id: image.id })
})

test('images are listed, shown whole, and removed by any of their names', async () => {
  const image = lab.registry.addImage('a', 'v1', { user: '7' })
  await lab.pull('a:v1')
  const tag = `${lab.registry.host}/a:v1`
  const names = { id: image.id, tags: [tag], digests: [`${lab.registry.host}/a@${image.manifestDigest}`] }
  expect(await client.list()).toEqual([{ ...names, sizeBytes: expect.any(Number), pinned: false }])
  expect(await client.inspect(image.id.slice(7, 19))).toMatchObject({
    ...names,
    platform: 'linux/amd64',
    pinned: false,
    pulledAt: '2023-11-14T22:13:20.000Z',
    manifestDigest: image.manifestDigest,
    layers: image.layers.map(({ diffId }) => diffId),
    config: { user: '7' },
  })
  expect(await client.remove(tag)).toEqual(names)
  expect(await client.list()).toEqual([])
})

test.for(['inspect', 'remove'] as const)('to %s one that is not here is not found', async (method) => {
  await expect(client[method]('other:1')).rejects.toMatchObject({
    kind: 'not-found',
    message: 'image other:1 is not here: `cri-ts images ls` lists those that are',
  })
  await expect(client[method]('UPPER')).rejects.toMatchObject({ kind: 'invalid-argument' })
})

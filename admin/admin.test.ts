import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { adminClient, adminSocket } from './client.ts'
import { type AdminImages, serveAdmin } from './server.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** Images in memory: an archive is imported under the name it is given, or its path's. */
function fakeImages(): AdminImages & { failWith: Error | undefined } {
  const names: string[] = []
  return {
    failWith: undefined,
    async importArchive(path, name) {
      if (this.failWith !== undefined) throw this.failWith
      names.push(name ?? path)
      return [{ id: `sha256:${names.length}`, names: [name ?? path] }]
    },
    list: () =>
      names.map((tag, index) => ({ id: `sha256:${index + 1}`, tags: [tag], digests: [], sizeBytes: 7 })),
  }
}

function stateDirectory(): string {
  const state = mkdtempSync(join(tmpdir(), 'admin-'))
  onTestFinished(() => rmSync(state, { recursive: true, force: true }))
  return state
}

async function served() {
  const images = fakeImages()
  const socketPath = adminSocket(stateDirectory())
  const server = await serveAdmin(socketPath, { images, log: quiet })
  onTestFinished(() => server[Symbol.asyncDispose]())
  return { images, socketPath, client: adminClient(socketPath) }
}

function post(socketPath: string, path: string, body: string, headers = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': Buffer.byteLength(body), ...headers }
    request({ socketPath, method: 'POST', path, headers: length, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end(body)
  })
}

test('an archive is imported under the name that is given, and listed', async () => {
  const { client } = await served()
  const name = 'localhost/web:1 ?&=ü'
  expect(await client.importArchive('/a b.tar', name)).toEqual([{ id: 'sha256:1', names: [name] }])
  expect(await client.importArchive('/b.tar', undefined)).toEqual([{ id: 'sha256:2', names: ['/b.tar'] }])
  expect(await client.listImages()).toEqual([
    { id: 'sha256:1', tags: [name], digests: [], sizeBytes: 7 },
    { id: 'sha256:2', tags: ['/b.tar'], digests: [], sizeBytes: 7 },
  ])
})

test('only its owner may open the socket, and other files are made as before', async () => {
  const umask = process.umask()
  const { socketPath } = await served()
  expect(statSync(socketPath).mode & 0o777).toBe(0o600)
  expect(process.umask()).toBe(umask)
})

test("the daemon's error comes over with its kind, message and causes", async () => {
  const { client, images } = await served()
  images.failWith = new CriError('not-found', 'import /a.tar', { cause: new Error('no such file') })
  await expect(client.importArchive('/a.tar', undefined)).rejects.toMatchObject({
    kind: 'not-found',
    message: 'import /a.tar: no such file',
  })
})

test('a bug of the daemon is told as an internal error', async () => {
  const { client, images } = await served()
  images.failWith = new TypeError('x is undefined')
  await expect(client.importArchive('/a.tar', undefined)).rejects.toMatchObject({ kind: 'internal' })
})

test('a relative path is refused: the daemon has another working directory', async () => {
  const { client } = await served()
  await expect(client.importArchive('a.tar', undefined)).rejects.toMatchObject({ kind: 'invalid-argument' })
})

test('what is no import is refused, and the next one is served', async () => {
  const { client, socketPath } = await served()
  expect(await post(socketPath, '/v1/images/import', 'not JSON')).toBe(400)
  expect(await post(socketPath, '/v1/images/import', '{"path":"/a","more":1}')).toBe(400)
  expect(await post(socketPath, '/v1/images/import', ' '.repeat((64 << 10) + 1))).toBe(400)
  expect(await post(socketPath, '/v1/images', '{}')).toBe(501)
  expect(await client.listImages()).toEqual([])
})

test('without a daemon the socket and the remedy are named', async () => {
  const socketPath = adminSocket(stateDirectory())
  await expect(adminClient(socketPath).listImages()).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(`${socketPath}: start it with \`cri-ts serve\``),
  })
})

test('a socket that a killed daemon left behind is replaced', async () => {
  const socketPath = adminSocket(stateDirectory())
  writeFileSync(socketPath, '')
  await using _server = await serveAdmin(socketPath, { images: fakeImages(), log: quiet })
  expect(await adminClient(socketPath).listImages()).toEqual([])
})

test('a socket that cannot be made is an error that names it', async () => {
  const socketPath = adminSocket(join(stateDirectory(), 'missing'))
  const serving = serveAdmin(socketPath, { images: fakeImages(), log: quiet })
  await expect(serving).rejects.toThrow(`the admin socket ${socketPath} can't be made`)
})

test('a server that is disposed of leaves no socket, and calls under way do not hold it up', async () => {
  const socketPath = adminSocket(stateDirectory())
  const called = Promise.withResolvers<void>()
  const images: AdminImages = {
    importArchive: () => {
      called.resolve()
      return new Promise(() => {})
    },
    list: () => [],
  }
  const server = await serveAdmin(socketPath, { images, log: quiet })
  const hanging = adminClient(socketPath).importArchive('/a', undefined)
  const outcome = expect(hanging).rejects.toMatchObject({ kind: 'unavailable' })
  await called.promise
  await server[Symbol.asyncDispose]()
  await outcome
  expect(statSync(socketPath, { throwIfNoEntry: false })).toBeUndefined()
})

test('an answer that is none of ours is an error, not a result', async () => {
  const socketPath = adminSocket(stateDirectory())
  const other = createServer((_, response) => response.end('[{"id":1}]'))
  await new Promise<void>((resolve) => other.listen(socketPath, resolve))
  onTestFinished(() => void other.close())
  await expect(adminClient(socketPath).listImages()).rejects.toThrow('tags')
})

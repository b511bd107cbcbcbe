import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { adminSocket } from '#admin/client.ts'
import { type AdminRoutes, serveAdmin } from '#admin/server.ts'
import { CriError } from '#lib/errors.ts'
import { cli } from './cli.ts'
import type { Terminal } from './live-lines.ts'

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'cli-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

/** A daemon that answers on the admin socket of its own state directory; runs `images ARGS` against it. */
async function daemon(routes: AdminRoutes) {
  const state = directory()
  writeFileSync(join(state, 'config.toml'), `state = "${state}"\n`)
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const server = await serveAdmin(adminSocket(state), { routes, log })
  onTestFinished(() => server[Symbol.asyncDispose]())
  return async (args: string[], environment: Record<string, string> = {}, terminal?: Terminal) => {
    let [out, err] = ['', '']
    const code = await cli(['images', '--config', join(state, 'config.toml'), ...args], {
      version: '1',
      out: (text) => (out += text),
      err: (text) => (err += text),
      terminal,
      environment,
      serve: async () => {},
    })
    return { code, out, err }
  }
}

test('import sends the path as the daemon sees it, and prints what came of it', async () => {
  const asked: unknown[] = []
  const run = await daemon({
    async 'POST /v1/images/import'({ body, query }) {
      asked.push([
        await body((await import('#admin/image-protocol.ts')).importRequest, ''),
        query.get('name'),
      ])
      return [{ id: 'sha256:12', names: ['localhost/a:1', 'localhost/a:2'] }]
    },
  })
  expect(await run(['import', 'a.tar', '--name', 'a:1'])).toEqual({
    code: 0,
    out: 'sha256:12 localhost/a:1 localhost/a:2\n',
    err: '',
  })
  expect(asked).toEqual([[{ path: join(process.cwd(), 'a.tar') }, 'a:1']])
})

test('export sends what is wanted, and prints what was exported', async () => {
  const asked: unknown[] = []
  const run = await daemon({
    async 'POST /v1/images/export'({ body }) {
      asked.push(await body((await import('#admin/image-protocol.ts')).exportRequest, ''))
      return [{ id: 'sha256:12', names: ['localhost/a:1'] }]
    },
  })
  const out = 'sha256:12 localhost/a:1\n'
  expect(await run(['export', 'a:1', '-o', 'a.tar'])).toEqual({ code: 0, out, err: '' })
  await run(['export', 'a:1', 'b', '--format', 'docker', '-o', '/b.tar'])
  expect(asked).toEqual([
    { images: ['a:1'], path: join(process.cwd(), 'a.tar'), format: 'oci', compression: 'gzip' },
    { images: ['a:1', 'b'], path: '/b.tar', format: 'docker', compression: 'none' },
  ])
  expect((await run(['export', 'a:1'])).err).toMatch(/required option.*--output/)
})

test('ls prints a table', async () => {
  const id = `sha256:${'0123456789abcdef'.repeat(4)}`
  const run = await daemon({
    'GET /v1/images': () => [
      {
        id,
        tags: ['localhost/web:1'],
        digests: ['localhost/web@sha256:1'],
        sizeBytes: 2_300_000,
        pinned: true,
      },
      { id: 'sha256:ff', tags: [], digests: ['b@sha256:2'], sizeBytes: 5, pinned: false },
    ],
  })
  expect(JSON.parse((await run(['ls', '--json'])).out)).toMatchObject([
    { id, pinned: true },
    { sizeBytes: 5 },
  ])
  expect((await run(['ls'])).out).toBe(
    'IMAGE ID       SIZE   NAMES\n0123456789abc  2.3MB  localhost/web:1\nff             5B     b@sha256:2\n',
  )
})

test('rm removes each image that is named, and stops at one that is not here', async () => {
  const asked: (string | null)[] = []
  const run = await daemon({
    'DELETE /v1/images/one'({ query }) {
      asked.push(query.get('reference'))
      if (asked.length > 2) throw new CriError('not-found', 'image c is not here')
      return { id: `sha256:${asked.length}`, tags: asked.length === 1 ? ['a:1'] : [], digests: ['d'] }
    },
  })
  expect(await run(['rm', 'a', 'b', 'c', 'd'])).toEqual({
    code: 1,
    out: 'sha256:1 a:1\nsha256:2 d\n',
    err: 'cri-ts: image c is not here\n',
  })
  expect(asked).toEqual(['a', 'b', 'c'])
})

const layer = (phase: string, receivedBytes: number) => ({
  digest: 'sha256:0123456789abcdef',
  phase,
  receivedBytes,
  sizeBytes: 2_000_000,
})

/** Answers a pull of one layer, and what was asked for. */
function pulls() {
  const asked: unknown[] = []
  const routes: AdminRoutes = {
    async *'POST /v1/images/pull'({ body }) {
      asked.push(await body((await import('#admin/image-protocol.ts')).pullRequest, ''))
      yield { layers: { 0: layer('fetching', 0) } }
      yield { layers: { 0: layer('done', 2_000_000) } }
      yield { id: 'sha256:12' }
    },
  }
  return { asked, routes }
}

test('pull prints the id to stdout, and how it goes to stderr', async () => {
  const { asked, routes } = pulls()
  const run = await daemon(routes)
  expect(await run(['pull', 'web:1'])).toEqual({
    code: 0,
    out: 'sha256:12\n',
    err: 'pulling web:1\n1 layer, 2MB\nsha256:0123456789abcdef done, 2MB (1/1)\n',
  })
  expect(await run(['pull', '-q', 'web:1'])).toEqual({ code: 0, out: 'sha256:12\n', err: '' })
  expect(asked).toEqual([{ reference: 'web:1' }, { reference: 'web:1' }])
})

test('pull on a terminal changes lines in place, and ends with all of them done', async () => {
  const { routes } = pulls()
  const run = await daemon(routes)
  const written: string[] = []
  const terminal: Terminal = {
    write: (text) => void written.push(text),
    size: () => ({ columns: 80, rows: 24 }),
    onResize: () => () => {},
  }
  expect(await run(['pull', 'web:1'], {}, terminal)).toEqual({ code: 0, out: 'sha256:12\n', err: '' })
  expect(written.join('')).toContain('pulling web:1')
  expect(written.join('')).toContain('0123456789ab  done              2MB')
})

test('pull takes credentials from a file or the environment', async () => {
  const { asked, routes } = pulls()
  const run = await daemon(routes)
  const file = join(directory(), 'creds')
  writeFileSync(file, 'kube:s3:cret\nmore\n')
  await run(['pull', 'web:1', '--creds-file', file], { CRI_TS_CREDS: 'other:x' })
  await run(['pull', 'web:1'], { CRI_TS_CREDS: 'env:' })
  expect(asked).toEqual([
    { reference: 'web:1', auth: { username: 'kube', password: 's3:cret' } },
    { reference: 'web:1', auth: { username: 'env', password: '' } },
  ])
})

test('credentials that are none, or cannot be read, end pull before it begins, and are not shown', async () => {
  const { asked, routes } = pulls()
  const run = await daemon(routes)
  expect(await run(['pull', 'web:1'], { CRI_TS_CREDS: 's3cret' })).toEqual({
    code: 1,
    out: '',
    err: 'cri-ts: CRI_TS_CREDS is not user:password\n',
  })
  const { err } = await run(['pull', 'web:1', '--creds-file', '/none'])
  expect(err).toContain("cri-ts: the credentials can't be read from /none: ENOENT")
  expect(asked).toEqual([])
})

test('a pull that fails ends with 1 and the reason, after what was shown', async () => {
  const run = await daemon({
    async *'POST /v1/images/pull'() {
      yield { layers: { 0: layer('fetching', 5) } }
      throw new CriError('unavailable', 'pull web:1: cut')
    },
  })
  expect(await run(['pull', 'web:1'])).toEqual({
    code: 1,
    out: '',
    err: 'pulling web:1\n1 layer, 2MB\ncri-ts: pull web:1: cut\n',
  })
})

test("the daemon's failure is the command's", async () => {
  const run = await daemon({
    'POST /v1/images/import': () => {
      throw new CriError('not-found', 'import /a.tar: no such file')
    },
  })
  expect(await run(['import', '/a.tar'])).toEqual({
    code: 1,
    out: '',
    err: 'cri-ts: import /a.tar: no such file\n',
  })
})

test('an answer that is none of ours is an error, not a result', async () => {
  const run = await daemon({ 'GET /v1/images': () => [{ id: 1 }] })
  const { code, err } = await run(['ls'])
  expect(code).toBe(1)
  expect(err).toContain('tags')
})

test('without a daemon the socket and the remedy are named', async () => {
  const run = await daemon({})
  const { code, err } = await run(['ls', '--state', '/nonexistent'])
  expect(code).toBe(1)
  expect(err).toContain("the daemon can't be asked on /nonexistent/admin.sock: start it with `cri-ts serve`")
})

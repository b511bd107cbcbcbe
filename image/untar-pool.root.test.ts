import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { digestOf } from '#test/fixtures/image.ts'
import { pieces } from '#test/fixtures/image-sources.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import type { LayerFormat } from './layer-format.ts'
import { UntarPool } from './untar-pool.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-pool-')
})
afterEach(() => rmSync(home, { recursive: true }))

const never = new AbortController().signal
const threads = (): number => readdirSync('/proc/self/task').length
const tar = tarOf([{ name: 'a', content: 'a' }])
const job = (name: string, format: LayerFormat = 'overlay') => {
  const digest = digestOf(tar)
  return {
    directory: join(home, name),
    format,
    digest,
    diffId: digest,
    limits: { sizeBytes: 1 << 20, entries: 10 },
  }
}

test('threads start when there is work, never more than allowed, and end when they are idle', async () => {
  await using pool = new UntarPool({ maxThreads: 2, idleMs: 5 })
  await pool.untar(job('first'), async () => pieces(tar), never) // Node's own threads start with it, and stay.
  await vi.waitFor(() => expect(pool.threadCount).toBe(0))
  const before = threads()
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const jobs = ['a', 'b', 'c', 'd'].map((name) =>
    pool.untar(
      job(name),
      async () => {
        await gate
        return pieces(tar)
      },
      never,
    ),
  )
  expect(pool.threadCount).toBe(2)
  open()
  expect(await Promise.all(jobs)).toHaveLength(4)
  await vi.waitFor(() => expect(threads()).toBeLessThanOrEqual(before), { timeout: 5_000 })
})

test.for([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)(
  'a %s layer is known by its first bytes, in however small pieces they come',
  async ([, compress]) => {
    const large = tarOf([{ name: 'a', content: randomBytes(40 << 10) }])
    const blob = compress(large)
    async function* bytes() {
      yield new Uint8Array(blob.subarray(0, 1))
      yield new Uint8Array(blob.subarray(1))
    }
    await using pool = new UntarPool()
    const wanted = { ...job('compressed'), digest: digestOf(blob), diffId: digestOf(large) }
    expect(await pool.untar(wanted, async () => bytes(), never)).toMatchObject({
      compressedBytes: blob.length,
    })
  },
)

test('its threads come behind all others: whoever waits for the main thread waits for no layer', async () => {
  await using pool = new UntarPool()
  await pool.untar(job('a'), async () => pieces(tar), never)
  const niceness = (thread: string): number =>
    Number(
      readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[16],
    )
  const [main, ...others] = readdirSync('/proc/self/task')
    .toSorted((a, b) => Number(a) - Number(b))
    .map(niceness)
  expect(others.filter((nice) => nice === Number(main) + 5)).toHaveLength(1)
})

test('a layer becomes a file of EROFS where it is asked for', async () => {
  await using pool = new UntarPool()
  const usage = await pool.untar(job('blob', 'erofs'), async () => pieces(tar), never)
  expect(usage).toMatchObject({ usedBytes: 8192, usedInodes: 1 })
  expect(statSync(job('blob').directory).size).toBeLessThanOrEqual(8192)
})

test('a tree is removed whole, with names that are not UTF-8', async () => {
  await using pool = new UntarPool()
  const tree = join(home, 'tree')
  mkdirSync(join(tree, 'deep'), { recursive: true })
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/deep/`), Buffer.from([0xff, 0xfe])]), '')
  await pool.remove(tree)
  expect(readdirSync(home)).toEqual([])
})

test('the end of the pool stops what runs, and starts nothing new', async () => {
  const pool = new UntarPool()
  const stuck = pool.untar(job('a'), () => delay(60_000, pieces(tar), { ref: false }), never)
  await pool[Symbol.asyncDispose]()
  await expect(stuck).rejects.toMatchObject({ kind: 'cancelled' })
  await expect(pool.remove(home)).rejects.toMatchObject({ kind: 'cancelled' })
})

test('a patch that is given up ends soon, and the thread goes on with what else it does', async () => {
  await using pool = new UntarPool({ maxThreads: 1 })
  const stop = new AbortController()
  const links = Array.from({ length: 500_000 }, () => ({ path: 'a', target: 'b/c/d/e' }))
  mkdirSync(join(home, 'layer'))
  const open = { gaps: { implied: [], links }, target: join(home, 'patch') }
  const patched = pool.patch([{ diffId: 'sha256:1', directory: join(home, 'layer'), open }], stop.signal)
  const untarred = pool.untar(job('a'), async () => pieces(tar), never)
  stop.abort()
  await expect(patched).rejects.toMatchObject({ kind: 'cancelled' })
  expect(await untarred).toMatchObject({ usedInodes: 3 })
})

test('what ends a thread is told to all whose work it did, and the next one starts anew', async () => {
  await using pool = new UntarPool({ maxThreads: 1, heapMb: 16 })
  const lost = { kind: 'internal', cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } }
  const many = tarOf(Array.from({ length: 60_000 }, (_, index) => ({ name: `${'x'.repeat(80)}${index}` })))
  const [digest, limits] = [digestOf(many), { sizeBytes: 1 << 30, entries: 100_000 }]
  const large = { ...job('large', 'erofs'), digest, diffId: digest, limits }
  const stuck = pool.untar(job('a'), () => new Promise(() => {}), never)
  const failures = await Promise.allSettled([stuck, pool.untar(large, async () => pieces(many), never)])
  expect(failures).toMatchObject([{ reason: lost }, { reason: lost }])
  await pool.remove(join(home, 'large'))
})

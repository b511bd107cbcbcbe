import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { anyMutation, mutated } from '#test/fixtures/mutate.ts'
import { headersFileOf, LayerHeaders } from './layer-headers.ts'
import { readLayerTar } from './layer-tar.ts'
import { LayerWriter } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'

/** More for a long run by hand. */
const RUNS = Number(process.env['CRI_TS_FUZZ_RUNS'] ?? 500)
const forms = [
  '--format=gnu',
  '--format=ustar',
  '--format=v7',
  ...['0.0', '0.1', '1.0'].map((each) => `--format=posix --sparse-version=${each}`),
]

let home: string
let outside: string
let layer: string
let seeds: readonly Buffer[]
beforeAll(() => {
  home = mkdtempSync('/dev/shm/cri-ts-fuzz-')
  outside = join(home, 'outside')
  layer = join(home, 'layer')
  mkdirSync(outside)
  writeFileSync(join(outside, 'f'), 'untouched')
  const source = join(home, 'source')
  makeTree(source)
  // Old formats leave out what they have no room for.
  seeds = forms.map(
    (form) => spawnSync('tar', [...form.split(' '), '--sparse', '-cf', '-', '-C', source, '.']).stdout,
  )
  rmSync(source, { recursive: true })
})
afterAll(() => rmSync(home, { recursive: true }))

function makeTree(source: string): void {
  const long = join(source, 'usr', 'l'.repeat(90))
  mkdirSync(long, { recursive: true })
  writeFileSync(join(long, 'n'.repeat(140)), 'long')
  writeFileSync(join(source, 'file'), 'x'.repeat(3000))
  linkSync(join(source, 'file'), join(source, 'hard'))
  for (const [target, name] of [
    ['usr', 'soft'],
    [outside, 'out'],
    ['../outside', 'climb'],
  ] as const)
    symlinkSync(target, join(source, name))
  execFileSync('mkfifo', [join(source, 'pipe')])
  writeFileSync(join(source, '.wh.gone'), '')
  const fd = openSync(join(source, 'holes'), 'w')
  for (let at = 1; at < 30; at += 1) writeSync(fd, 'data', at * 20_000)
  ftruncateSync(fd, 1 << 20)
  closeSync(fd)
}

async function unpack(tar: Buffer): Promise<void> {
  using headers = new LayerHeaders(headersFileOf(layer))
  using writer = new LayerWriter(layer, 1000, headers)
  const reader = new TarReader(writer)
  reader.push(tar)
  reader.finish()
  writer.finish()
  await headers.finish()
}

/** Whether it went through; throws what no bad input may lead to. */
async function soundly(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!(error instanceof CriError) || error.kind === 'internal') throw error
    return false
  }
}

function clear(): void {
  rmSync(layer, { recursive: true, force: true })
  rmSync(headersFileOf(layer), { force: true })
  mkdirSync(layer)
}

const again = () => Array.fromAsync(readLayerTar({ directory: layer, headersFile: headersFileOf(layer) }))

const anySeed = fc.nat(forms.length - 1)

test('whatever becomes of a tar, it is unpacked and made again, or refused; nothing outside is touched', async () => {
  const before = lstatSync(join(outside, 'f'))
  await fc.assert(
    fc.asyncProperty(anySeed, fc.array(anyMutation, { maxLength: 6 }), async (seed, mutations) => {
      clear()
      const tar = mutated(seeds[seed] ?? Buffer.alloc(0), mutations)
      const isSound = await soundly(() => unpack(tar))
      if (mutations.length === 0) expect(isSound).toBe(true)
      if (isSound) expect(Buffer.concat(await again()).equals(tar)).toBe(true)
      expect(readdirSync(home).toSorted()).toEqual(['layer', 'layer.headers', 'outside'])
      expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('untouched')
      const { ino, mode, uid, nlink, mtimeMs, ctimeMs } = before
      expect(lstatSync(join(outside, 'f'))).toMatchObject({ ino, mode, uid, nlink, mtimeMs, ctimeMs })
    }),
    { numRuns: RUNS },
  )
})

test('whatever becomes of what was written down of a tar, it is told', async () => {
  clear()
  const [tar = Buffer.alloc(0)] = seeds
  await unpack(tar)
  const written = readFileSync(headersFileOf(layer))
  await fc.assert(
    fc.asyncProperty(fc.array(anyMutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
      const changed = mutated(written, mutations)
      fc.pre(!changed.equals(written))
      writeFileSync(headersFileOf(layer), changed)
      await soundly(again)
    }),
    { numRuns: RUNS },
  )
})

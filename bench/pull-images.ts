import { createCipheriv, createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE } from '#test/fixtures/built.ts'
import { buildImage, buildLayer } from '#test/fixtures/image.ts'
import { type TarFile, tarOf } from '#test/fixtures/tar.ts'
import { startRegistry } from '#test/integration/registry.ts'

/** An image to pull, by `REPOSITORY:TAG` in the registry that serves `pullImagesData`. */
export const pullImages = ['many-small', 'big', 'layers'].flatMap((repository) =>
  (['gzip', 'zstd'] as const).map((compression) => ({ repository, compression })),
)

/** By repository the files of each layer: always the same bytes. */
const layersOf: { readonly [repository: string]: readonly ((random: Random) => readonly TarFile[])[] } = {
  'many-small': [manySmall],
  big: [big],
  layers: Array.from({ length: 12 }, (_, layer) => (random: Random) => layerOf(random, layer)),
}

const MIB = 1 << 20
const BLOCK_BYTES = 4096
const NOISE_SHARE = 0.5
const WORDS =
  'a go to no we if my us it up so do in an or by at of me he as is be on am the any who how you now she out two new old day got'
    .split(' ')
    .map((word) => Buffer.from(`${word} `))

/** The data of a registry that holds them, made where it is missing: a minute, and 0.7 GB in the cache. */
export async function pullImagesData(): Promise<string> {
  const source = readFileSync(new URL(import.meta.url))
  const data = join(CACHE, `pull-images-${createHash('sha256').update(source).digest('hex').slice(0, 16)}`)
  if (existsSync(data)) return data
  const unfinished = join(CACHE, 'pull-images.new')
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  await using registry = await startRegistry({ data: unfinished })
  for (const [repository, layers] of Object.entries(layersOf)) {
    const tars = layers.map((files, index) => tarOf(files(seededRandom(`${repository} ${index}`))))
    for (const compression of ['gzip', 'zstd'] as const) {
      const built = tars.map((tar) => buildLayer(tar, { compression }))
      await registry.push(repository, compression, buildImage({ layers: built }))
    }
  }
  renameSync(unfinished, data)
  return data
}

/** 25,000 files of 100 to 4,000 bytes in 500 directories. */
function manySmall(random: Random): readonly TarFile[] {
  const directories = Array.from({ length: 500 }, (_, n) => `srv/d${n}`)
  return [
    ...['srv', ...directories].map((name) => ({ name, type: 'directory' as const })),
    ...Array.from({ length: 25_000 }, (_, n) => ({
      name: `${directories[n % directories.length]}/f${n}`,
      content: contentOf(random, 100 + random.below(3900)),
    })),
  ]
}

/** 8 files of 50 MiB, of which half is the same in all, at another place. */
function big(random: Random): readonly TarFile[] {
  const shared = contentOf(random, 25 * MIB)
  return [
    { name: 'srv', type: 'directory' },
    ...Array.from({ length: 8 }, (_, n) => ({
      name: `srv/big${n}`,
      content: Buffer.concat([
        contentOf(random, 25 * MIB),
        shared.subarray(n * 1000),
        shared.subarray(0, n * 1000),
      ]),
    })),
  ]
}

/** 50 files of 350 kB. */
function layerOf(random: Random, layer: number): readonly TarFile[] {
  return [
    { name: 'srv', type: 'directory' },
    { name: `srv/layer${layer}`, type: 'directory' },
    ...Array.from({ length: 50 }, (_, n) => ({
      name: `srv/layer${layer}/f${n}`,
      content: contentOf(random, 350_000),
    })),
  ]
}

/** Blocks that don't compress, and blocks of words, in a random order. */
function contentOf(random: Random, sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
    const block = content.subarray(at, at + BLOCK_BYTES)
    const bytes = random.bytes(block.length)
    if (random.below(100) < 100 * NOISE_SHARE) block.set(bytes)
    else fillWithWords(block, bytes)
  }
  return content
}

function fillWithWords(block: Buffer, choices: Buffer): void {
  let at = 0
  for (const choice of choices) {
    if (at >= block.length) return
    const word = WORDS[choice % WORDS.length] as Buffer
    at += word.copy(block, at)
  }
}

interface Random {
  bytes(count: number): Buffer
  /** A whole number from 0. */
  below(limit: number): number
}

/** The key stream of a cipher: the same bytes for a seed wherever it runs. */
function seededRandom(seed: string): Random {
  const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16))
  const bytes = (count: number): Buffer => cipher.update(Buffer.alloc(count))
  return { bytes, below: (limit) => bytes(4).readUInt32LE() % limit }
}

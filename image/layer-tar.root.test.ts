import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '#test/fixtures/image.ts'
import { anyTarFile } from '#test/fixtures/read-tar.ts'
import { type TarFile, tarOf, tarParts } from '#test/fixtures/tar.ts'
import { headersFileOf, headersFormat, LayerHeaders } from './layer-headers.ts'
import { readLayerTar, verifyLayer } from './layer-tar.ts'
import { LayerWriter } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-layer-tar-')
})
afterEach(() => rmSync(home, { recursive: true }))

const place = () => ({ directory: join(home, 'layer'), headersFile: join(home, 'layer.headers') })

async function unpack(tar: Buffer, pieceBytes = tar.length): Promise<void> {
  const { directory, headersFile } = place()
  rmSync(directory, { recursive: true, force: true })
  rmSync(headersFile, { force: true })
  mkdirSync(directory)
  using headers = new LayerHeaders(headersFileOf(directory))
  using writer = new LayerWriter(directory, 10_000, headers)
  const reader = new TarReader(writer)
  for (let at = 0; at < tar.length; at += pieceBytes) reader.push(tar.subarray(at, at + pieceBytes))
  reader.finish()
  writer.finish()
  await headers.finish()
}

const again = async (): Promise<Buffer> => Buffer.concat(await Array.fromAsync(readLayerTar(place())))

const big = Buffer.alloc(700_001, 'big ')

const tars: readonly [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['no entry', tarOf([])],
  ['no end', tarParts([{ name: 'a', content: 'a' }])],
  ['something after the end', Buffer.concat([tarOf([{ name: 'a', content: 'a' }]), Buffer.alloc(9000, 'x')])],
  [
    'a big file',
    tarOf([
      { name: 'big', content: big },
      { name: 'd/', type: 'directory' },
    ]),
  ],
  ['a PAX header of 900 KiB', tarOf([{ name: 'a', pax: { comment: Buffer.alloc(900_000, 'c') } }])],
  [
    'links',
    tarOf([
      { name: 'a', content: 'a' },
      { name: 'b', type: 'link', linkName: 'a' },
      { name: 'c', type: 'symlink', linkName: 'a' },
    ]),
  ],
  [
    'a name through a link',
    tarOf([
      { name: 'in', type: 'symlink', linkName: 'usr/in' },
      { name: 'in/f', content: 'x' },
    ]),
  ],
  ['whiteouts, one with a content', tarOf([{ name: '.wh.a', content: 'why' }, { name: 'd/.wh..wh..opq' }])],
  ['what is left out', tarOf([{ name: '.wh..wh.plnk/1.2', content: 'x' }])],
  [
    'files that are replaced',
    tarOf([
      { name: 'a', content: big },
      { name: 'a', content: '2' },
      { name: 'a', content: '3' },
    ]),
  ],
  [
    'a file, a link and a file',
    tarOf([
      { name: 'x', content: 'x' },
      { name: 'a', content: '1' },
      { name: 'a', type: 'link', linkName: 'x' },
      { name: 'a', content: '3' },
    ]),
  ],
  [
    'a directory that is replaced',
    tarOf([
      { name: 'd/e/f', content: '1' },
      { name: 'd/p', type: 'fifo' },
      { name: 'd', content: '2' },
    ]),
  ],
  [
    'a device like a whiteout, replaced',
    tarOf([
      { name: 'a', type: 'character-device' },
      { name: 'a', content: '2' },
    ]),
  ],
]

describe('the tar of a layer is made again, byte for byte', () => {
  test.for(tars)('%s', async ([, tar]) => {
    await unpack(tar)
    expect((await again()).equals(tar)).toBe(true)
    expect(await verifyLayer(place(), digestOf(tar))).toEqual([])
  })

  test.for(['--format=gnu', '--format=posix'])(
    'sparse files, whose holes stay holes: GNU tar %s',
    async (format) => {
      const directory = join(home, 'source')
      mkdirSync(directory)
      const fd = openSync(join(directory, 'holes'), 'w')
      for (let at = 1; at < 20; at += 1) writeSync(fd, 'data', 10 * at * 65_536)
      ftruncateSync(fd, 1 << 30)
      closeSync(fd)
      const tar = execFileSync('tar', ['--sparse', format, '-cf', '-', '-C', directory, 'holes'])
      await unpack(tar, 5000)
      const unpacked = join(place().directory, 'holes')
      expect(statSync(unpacked)).toMatchObject({
        size: 1 << 30,
        blocks: statSync(join(directory, 'holes')).blocks,
      })
      execFileSync('cmp', [unpacked, join(directory, 'holes')])
      expect((await again()).equals(tar)).toBe(true)
    },
  )

  test('whatever is in it, in pieces of any size', async () => {
    const name = fc.constantFrom('a', 'b', 'a/c', 'b/c', '.wh.a', 'c')
    const file: fc.Arbitrary<TarFile> = fc.oneof(
      anyTarFile,
      fc.record({ name, content: fc.string() }),
      fc.record({
        name,
        type: fc.constantFrom('directory', 'fifo', 'symlink'),
        linkName: fc.constant('c'),
      }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { maxLength: 8 }),
        fc.integer({ min: 1, max: 2000 }),
        async (files, pieceBytes) => {
          const tar = tarOf(files)
          const isSound = await unpack(tar, pieceBytes).then(
            () => true,
            () => false,
          )
          fc.pre(isSound)
          expect((await again()).equals(tar)).toBe(true)
          expect(await verifyLayer(place(), digestOf(tar))).toEqual([])
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('damage is told by name:', () => {
  const tar = tarOf([
    { name: 'd/a', content: 'content' },
    { name: 'b', content: 'b' },
  ])
  const at = (name: string): string => join(place().directory, name)

  test.for<[string, () => void, RegExp]>([
    [
      'a file is changed',
      () => writeFileSync(at('d/a'), 'CONTENT'),
      /a tar of the digest sha256:.*, it should be/,
    ],
    [
      'a file is longer',
      () => appendFileSync(at('d/a'), 'x'),
      /^d\/a in the layer has 8 bytes, it should have 7$/,
    ],
    ['a file is gone', () => rmSync(at('b')), /^b in the layer is gone$/],
    ['a directory is gone', () => rmSync(at('d'), { recursive: true }), /^d\/a in the layer is gone$/],
    [
      'a file is a directory now',
      () => {
        rmSync(at('b'))
        mkdirSync(at('b'))
      },
      /^b in the layer is no file$/,
    ],
    [
      'what was written down is cut off',
      () => truncateSync(place().headersFile, 40),
      /layer\.headers.* is damaged/,
    ],
    [
      'what was written down is empty',
      () => truncateSync(place().headersFile, 0),
      /layer\.headers.* is damaged/,
    ],
    [
      'what was written down is changed',
      () => {
        const headers = readFileSync(place().headersFile)
        writeFileSync(place().headersFile, headers.fill(0, 8, 60))
      },
      /layer\.headers.* is damaged/,
    ],
    [
      'the place of its index is changed',
      () => {
        const headers = readFileSync(place().headersFile)
        headers.writeBigUInt64BE(BigInt(headers.length - 4), headers.length - headersFormat.footerBytes + 8)
        writeFileSync(place().headersFile, headers)
      },
      /layer\.headers.* is damaged/,
    ],
  ])('%s', async ([, damage, message]) => {
    await unpack(tar)
    damage()
    expect(await verifyLayer(place(), digestOf(tar))).toEqual([expect.stringMatching(message)])
  })
})

test('of a layer that an earlier version unpacked it is said that its tar is not known', async () => {
  await unpack(tarOf([{ name: 'a' }]))
  rmSync(place().headersFile)
  await expect(verifyLayer(place(), '')).rejects.toMatchObject({
    kind: 'not-found',
    message: expect.stringMatching(/earlier version/),
  })
})

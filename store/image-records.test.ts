import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import type { ImageRecords, StoredImage, StoredLayer } from '#image/image-records.ts'
import { openForeignImageRecords, openImageRecords } from './image-records.ts'

const layer = (number: number): StoredLayer => {
  const usage = { compressedBytes: 10, usedBytes: 4096, usedInodes: 1 }
  const isFile = number > 1
  return {
    ...{ number, diffId: `sha256:layer${number}`, ...usage },
    format: isFile ? 'erofs' : 'overlay',
    verity: isFile ? `sha256:verity${number}` : undefined,
  }
}
const image = (id: string, layers: readonly number[], tags: readonly string[] = []): StoredImage => {
  const diffIds = layers.map((number) => layer(number).diffId)
  return {
    id,
    config: Buffer.from('{}'),
    manifestDigest: undefined,
    sizeBytes: 1,
    pulledAtNs: '5',
    diffIds,
    tags,
    digests: [],
  }
}
const none = new Set<string>()

function opened(): ImageRecords {
  const records = openImageRecords(':memory:')
  records.putImage(image('i1', [1, 2], ['a', 'b']), [layer(1), layer(2)])
  return records
}

test('an image is as it was put, and its layers are found by diff id', () => {
  using records = opened()
  expect(records.images()).toEqual([image('i1', [1, 2], ['a', 'b'])])
  expect(records.layers()).toEqual([layer(1), layer(2)])
  expect(records.layer('sha256:layer2')).toEqual(layer(2))
  expect(records.layer('sha256:none')).toBeUndefined()
  expect(records.layerByNumber(2)).toEqual(layer(2))
  expect(records.layerByNumber(9)).toBeUndefined()
  expect(records.nextLayerNumber()).toBe(1)
})

test('a name is one image’s', () => {
  using records = opened()
  records.putImage(image('i2', [1, 1], ['b']), [])
  records.addNames('i2', { tags: ['c'], digests: ['d@sha256:1'] })
  expect(records.images()).toMatchObject([
    { id: 'i1', tags: ['a'] },
    { id: 'i2', tags: ['b', 'c'], digests: ['d@sha256:1'], diffIds: ['sha256:layer1', 'sha256:layer1'] },
  ])
})

test('an image with a layer that is not here is refused whole', () => {
  using records = opened()
  expect(() => records.putImage(image('i2', [3, 9], ['a']), [layer(3)])).toThrow(/NOT NULL/)
  expect(records.images()).toEqual([image('i1', [1, 2], ['a', 'b'])])
  expect(records.layers()).toHaveLength(2)
})

test('a layer is unused when neither an image nor a root file system has it', () => {
  using records = opened()
  records.putImage(image('i2', [2, 3]), [layer(3)])
  records.putRootfs('c1', image('i2', [2, 3]).diffIds, [])
  expect(records.rootfs('c1')).toEqual([{ number: 2 }, { number: 3 }])
  expect(records.rootfsIds()).toEqual(['c1'])
  expect(records.layersOfRootfs()).toEqual(new Set([2, 3]))
  records.removeImage('i1')
  records.removeImage('i2')
  expect(records.dropUnusedLayers(new Set(['sha256:layer1']))).toEqual([])
  expect(records.dropUnusedLayers(none)).toEqual([1])
  records.removeRootfs('c1')
  expect(records.rootfs('c1')).toBeUndefined()
  expect(records.dropUnusedLayers(none)).toEqual([2, 3])
  expect(records.layers()).toEqual([])
})

test('a root file system of no layers is one', () => {
  using records = opened()
  records.putImage(image('empty', []), [])
  records.putRootfs('c1', [], [])
  expect(records.rootfs('c1')).toEqual([])
})

test('a lost layer takes its images along, and stays in the root file systems that had it', () => {
  using records = opened()
  records.putImage(image('i2', [1]), [])
  records.putImage(image('i3', []), [])
  records.putRootfs('c1', image('i1', [1, 2]).diffIds, [])
  expect(records.dropLostLayer(1)).toEqual(['i1', 'i2'])
  expect(records.images().map(({ id }) => id)).toEqual(['i3'])
  expect(records.rootfs('c1')).toEqual([{ number: 1 }, { number: 2 }])
})

test('a layer of another store is used by its directory, and so are the layers of a root file system', () => {
  using records = opened()
  const theirs = { ...layer(7), directory: '/other/layers/3' }
  records.putRootfs('c1', [layer(1).diffId, theirs.diffId], [theirs])
  expect(records.rootfs('c1')).toEqual([{ number: 1 }, { number: 7, directory: '/other/layers/3' }])
  expect(records.layer(theirs.diffId)).toEqual(theirs)
  records.removeRootfs('c1')
  expect(records.dropUnusedLayers(none)).toEqual([7])
})

test('a root file system of a layer that is nowhere is refused whole', () => {
  using records = opened()
  expect(() => records.putRootfs('c1', ['sha256:none'], [])).toThrow(/NOT NULL/)
  expect(records.rootfs('c1')).toBeUndefined()
})

/** The path of a database, which is there until `use` returns. */
function withPath(use: (path: string) => void): void {
  const home = mkdtempSync(join(tmpdir(), 'cri-ts-records-'))
  try {
    use(join(home, 'images.db'))
  } finally {
    rmSync(home, { recursive: true })
  }
}

/** One of schema version 1 with a layer. */
function makeFirstVersion(path: string): void {
  const old = new DatabaseSync(path)
  old.exec(
    `CREATE TABLE layers (number INTEGER PRIMARY KEY AUTOINCREMENT, diff_id TEXT NOT NULL UNIQUE,
       compressed_bytes INTEGER NOT NULL, used_bytes INTEGER NOT NULL, used_inodes INTEGER NOT NULL) STRICT;
     CREATE TABLE images (id TEXT PRIMARY KEY) STRICT;
     INSERT INTO layers VALUES (1, 'sha256:layer1', 10, 4096, 1); PRAGMA user_version = 1`,
  )
  old.close()
}

test('a store that knew directories alone has its layers still', () => {
  withPath((path) => {
    makeFirstVersion(path)
    using records = openImageRecords(path)
    expect(records.layers()).toEqual([layer(1)])
    expect(records.storeId).toMatch(/^[0-9a-f]{32}$/)
    using again = openImageRecords(path)
    expect(again.storeId).toBe(records.storeId)
    using other = opened()
    expect(other.storeId).not.toBe(records.storeId)
  })
})

test('a store of somebody else that knew directories alone has its layers, and knows nothing of signatures', () => {
  withPath((path) => {
    makeFirstVersion(path)
    using records = openForeignImageRecords(path)
    expect(records.layers()).toEqual([layer(1)])
    expect(records.signatures('i1')).toEqual([])
  })
})

test('a store of somebody else has what it knows of signatures and of gaps', () => {
  const kept = {
    name: 'r/a@sha256:1',
    evidence: '{}',
    policyFile: '/p',
    policyDigest: 'sha256:p',
    verifiedAtNs: '7',
  }
  const gaps = { implied: ['a'], links: [{ path: 'a/link', target: 'a/file' }] }
  withPath((path) => {
    const own = openImageRecords(path)
    own.putRootfs('c1', [layer(2).diffId], [{ ...layer(2), gaps }])
    own.putSignatures('i1', kept)
    own[Symbol.dispose]()
    using records = openForeignImageRecords(path)
    expect(records.layers()).toEqual([{ ...layer(2), gaps }])
    expect(records.signatures('i1')).toEqual([kept])
  })
})

test('what was found of signatures is kept as long as the image, and replaced under its name', () => {
  using records = opened()
  const kept = { policyFile: '/p', policyDigest: 'sha256:p', verifiedAtNs: '7' }
  for (const evidence of ['{"a":1}', '{"a":2}'])
    records.putSignatures('i1', { name: 'r/a@sha256:1', evidence, ...kept })
  records.putSignatures('theirs', { name: 'r/b@sha256:2', evidence: '{}', ...kept })
  expect(records.signatures('i1')).toEqual([{ name: 'r/a@sha256:1', evidence: '{"a":2}', ...kept }])
  records.removeImage('i1')
  expect(records.signatures('i1')).toEqual([])
  expect(records.signatures('theirs')).toHaveLength(1)
})

import {
  type ForeignImageRecords,
  type ImageNames,
  type ImageRecords,
  type LayerPlace,
  PATCH_PREFIX,
  type StoredImage,
  type StoredLayer,
} from '#image/image-records.ts'
import { openDatabase, openForeignDatabase } from './database.ts'
import { layerGapsIn, layerGapsTable } from './layer-gaps-records.ts'
import { layersIn, placeOf, putLayer } from './layer-records.ts'
import { signaturesIn, signaturesOfAnyStore, signaturesTable } from './signature-records.ts'
import { type Row, type Run, runnerOf } from './statements.ts'

/** rootfs_layers.layer has no foreign key: a root file system outlives a layer that was lost, to be removed. */
const migrations = [
  `CREATE TABLE images (id TEXT PRIMARY KEY, config BLOB NOT NULL, manifest_digest TEXT,
     size_bytes INTEGER NOT NULL, pulled_at_ns TEXT NOT NULL) STRICT;
   CREATE TABLE names (name TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('tag', 'digest')),
     image TEXT NOT NULL REFERENCES images ON DELETE CASCADE) STRICT;
   CREATE INDEX names_by_image ON names (image);
   CREATE TABLE layers (number INTEGER PRIMARY KEY AUTOINCREMENT, diff_id TEXT NOT NULL UNIQUE,
     compressed_bytes INTEGER NOT NULL, used_bytes INTEGER NOT NULL, used_inodes INTEGER NOT NULL) STRICT;
   CREATE TABLE image_layers (image TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
     position INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers, PRIMARY KEY (image, position)) STRICT;
   CREATE INDEX image_layers_by_layer ON image_layers (layer);
   CREATE TABLE rootfs (container TEXT PRIMARY KEY) STRICT;
   CREATE TABLE rootfs_layers (container TEXT NOT NULL REFERENCES rootfs ON DELETE CASCADE,
     position INTEGER NOT NULL, layer INTEGER NOT NULL, PRIMARY KEY (container, position)) STRICT;
   CREATE INDEX rootfs_layers_by_layer ON rootfs_layers (layer)`,
  signaturesTable,
  `ALTER TABLE layers ADD COLUMN format TEXT NOT NULL DEFAULT 'overlay' CHECK (format IN ('overlay', 'erofs'));
   ALTER TABLE layers ADD COLUMN verity TEXT`,
  'ALTER TABLE layers ADD COLUMN directory TEXT',
  signaturesOfAnyStore,
  layerGapsTable,
  `CREATE TABLE store (id TEXT NOT NULL) STRICT;
   INSERT INTO store VALUES (lower(hex(randomblob(16))))`,
]

/** Images in SQLite: what is written is on the disk, also after a power loss. `:memory:` for tests. */
export function openImageRecords(path: string): ImageRecords {
  const database = openDatabase(path, 'FULL', migrations)
  const run = runnerOf(database)
  let lastNumber = Number(run.one("SELECT seq FROM sqlite_sequence WHERE name = 'layers'")?.['seq'] ?? 0)
  return {
    storeId: String(run.one('SELECT id FROM store')?.['id']),
    ...imagesIn(run),
    ...layersIn(run),
    damage: () =>
      run
        .all('PRAGMA quick_check')
        .map((row) => String(row['quick_check']))
        .filter((line) => line !== 'ok'),
    nextLayerNumber() {
      lastNumber += 1
      return lastNumber
    },
    ...rootfsIn(run),
    ...signaturesIn(run),
    ...layerGapsIn(run),
    [Symbol.dispose]: () => database.close(),
  }
}

/** Of a store that nobody writes to, also of an older version, which lacks some of it; throws failed-precondition with the path where it can't be read. */
export function openForeignImageRecords(path: string): ForeignImageRecords {
  const database = openForeignDatabase(path, migrations)
  const run = runnerOf(database)
  const version = Number(run.one('PRAGMA user_version')?.['user_version'])
  const has = (migration: string): boolean => version > migrations.indexOf(migration)
  const { layerGaps } = layerGapsIn(run)
  return {
    images: imagesIn(run).images,
    layers: () =>
      layersIn(run)
        .layers()
        .map((layer) => (has(layerGapsTable) ? { ...layer, gaps: layerGaps(layer.number) } : layer)),
    signatures: (imageId) => (has(signaturesOfAnyStore) ? signaturesIn(run).signatures(imageId) : []),
    [Symbol.dispose]: () => database.close(),
  }
}

function imagesIn(run: Run) {
  const addNames = (imageId: string, { tags, digests }: ImageNames): void => {
    const put = (kind: 'tag' | 'digest') => (name: string) =>
      run.write(
        `INSERT INTO names (name, kind, image) VALUES (?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, image = excluded.image`,
        name,
        kind,
        imageId,
      )
    tags.forEach(put('tag'))
    digests.forEach(put('digest'))
  }
  return {
    images: (): readonly StoredImage[] => run.all('SELECT * FROM images ORDER BY rowid').map(imageOf(run)),

    putImage(image: StoredImage, newLayers: readonly StoredLayer[]): void {
      run.transaction(() => {
        for (const layer of newLayers) putLayer(run, layer)
        const { id, config, manifestDigest = null, sizeBytes, pulledAtNs } = image
        run.write(
          'INSERT INTO images (id, config, manifest_digest, size_bytes, pulled_at_ns) VALUES (?, ?, ?, ?, ?)',
          id,
          config,
          manifestDigest,
          sizeBytes,
          pulledAtNs,
        )
        const { stack = image.diffIds } = image
        stack.forEach((diffId, position) => {
          run.write(
            // A layer that is not there makes this NULL, which the schema refuses.
            'INSERT INTO image_layers (image, position, layer) VALUES (?, ?, (SELECT number FROM layers WHERE diff_id = ?))',
            id,
            position,
            diffId,
          )
        })
        addNames(id, image)
      })
    },

    addNames: (imageId: string, names: ImageNames): void => run.transaction(() => addNames(imageId, names)),
    removeImage: (imageId: string): void => run.write('DELETE FROM images WHERE id = ?', imageId),
  }
}

const imageOf =
  (run: Run) =>
  (row: Row): StoredImage => {
    const id = String(row['id'])
    const names = (kind: string): string[] =>
      run
        .all('SELECT name FROM names WHERE image = ? AND kind = ? ORDER BY rowid', id, kind)
        .map(({ name }) => String(name))
    const layers = run.all(
      'SELECT diff_id FROM image_layers JOIN layers ON number = layer WHERE image = ? ORDER BY position',
      id,
    )
    const stack = layers.map((layer) => String(layer['diff_id']))
    const diffIds = stack.filter((name) => !name.startsWith(PATCH_PREFIX))
    return {
      id,
      config: Buffer.from(row['config'] as Uint8Array),
      manifestDigest: row['manifest_digest'] === null ? undefined : String(row['manifest_digest']),
      sizeBytes: Number(row['size_bytes']),
      pulledAtNs: String(row['pulled_at_ns']),
      diffIds,
      ...(stack.length > diffIds.length ? { stack } : {}),
      tags: names('tag'),
      digests: names('digest'),
    }
  }

function rootfsIn(run: Run) {
  return {
    rootfs(containerId: string): readonly LayerPlace[] | undefined {
      if (run.one('SELECT 1 FROM rootfs WHERE container = ?', containerId) === undefined) return undefined
      return run
        .all(
          `SELECT layer AS number, directory FROM rootfs_layers LEFT JOIN layers ON number = layer
           WHERE container = ? ORDER BY position`,
          containerId,
        )
        .map(placeOf)
    },

    putRootfs: (containerId: string, diffIds: readonly string[], newLayers: readonly StoredLayer[]): void =>
      run.transaction(() => {
        for (const layer of newLayers) putLayer(run, layer)
        run.write('INSERT INTO rootfs (container) VALUES (?)', containerId)
        diffIds.forEach((diffId, position) => {
          run.write(
            // A layer that is not there makes this NULL, which the schema refuses.
            `INSERT INTO rootfs_layers (container, position, layer)
             VALUES (?, ?, (SELECT number FROM layers WHERE diff_id = ?))`,
            containerId,
            position,
            diffId,
          )
        })
      }),

    removeRootfs: (containerId: string): void =>
      run.write('DELETE FROM rootfs WHERE container = ?', containerId),
    rootfsIds: (): readonly string[] =>
      run.all('SELECT container FROM rootfs').map(({ container }) => String(container)),
    layersOfRootfs: (): ReadonlySet<number> =>
      new Set(run.all('SELECT DISTINCT layer FROM rootfs_layers').map(({ layer }) => Number(layer))),
  }
}

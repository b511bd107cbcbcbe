import type { LayerPlace, StoredLayer } from '#image/image-records.ts'
import { putLayerGaps } from './layer-gaps-records.ts'
import type { Row, Run } from './statements.ts'

export function layersIn(run: Run) {
  return {
    layers: (): readonly StoredLayer[] => run.all('SELECT * FROM layers ORDER BY number').map(layerOf),

    layer(diffId: string): StoredLayer | undefined {
      const row = run.one('SELECT * FROM layers WHERE diff_id = ?', diffId)
      return row === undefined ? undefined : layerOf(row)
    },

    layerByNumber(layerNumber: number): StoredLayer | undefined {
      const row = run.one('SELECT * FROM layers WHERE number = ?', layerNumber)
      return row === undefined ? undefined : layerOf(row)
    },

    dropUnusedLayers: (kept: ReadonlySet<string>): readonly number[] =>
      run.transaction(() => {
        const unused = run
          .all(
            `SELECT number, diff_id FROM layers WHERE number NOT IN (SELECT layer FROM image_layers)
             AND number NOT IN (SELECT layer FROM rootfs_layers)`,
          )
          .filter((row) => !kept.has(String(row['diff_id'])))
          .map((row) => Number(row['number']))
        for (const number of unused) run.write('DELETE FROM layers WHERE number = ?', number)
        return unused
      }),

    dropLostLayer: (layerNumber: number): readonly string[] =>
      run.transaction(() => {
        const images = run
          .all('SELECT DISTINCT image FROM image_layers WHERE layer = ?', layerNumber)
          .map(({ image }) => String(image))
        for (const id of images) run.write('DELETE FROM images WHERE id = ?', id)
        run.write('DELETE FROM layers WHERE number = ?', layerNumber)
        return images
      }),
  }
}

export function putLayer(run: Run, layer: StoredLayer): void {
  const { number, diffId, compressedBytes, usedBytes, usedInodes, format } = layer
  const { verity = null, directory = null } = layer
  run.write(
    `INSERT INTO layers (number, diff_id, compressed_bytes, used_bytes, used_inodes, format, verity, directory)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[number, diffId, compressedBytes, usedBytes, usedInodes, format, verity, directory],
  )
  putLayerGaps(run, layer)
}

/** A row of a store of an older version lacks what came later, as `directory` here. */
export const placeOf = (row: Row): LayerPlace => ({
  number: Number(row['number']),
  ...(typeof row['directory'] === 'string' ? { directory: row['directory'] } : {}),
})

function layerOf(row: Row): StoredLayer {
  return {
    ...placeOf(row),
    diffId: String(row['diff_id']),
    compressedBytes: Number(row['compressed_bytes']),
    usedBytes: Number(row['used_bytes']),
    usedInodes: Number(row['used_inodes']),
    format: row['format'] === 'erofs' ? 'erofs' : 'overlay',
    verity: typeof row['verity'] === 'string' ? row['verity'] : undefined,
  }
}

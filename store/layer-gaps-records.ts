import type { ImageRecords, StoredLayer } from '#image/image-records.ts'
import type { Run } from './statements.ts'

/** Of layers that leave something open. */
export const layerGapsTable = `CREATE TABLE layer_gaps (layer INTEGER PRIMARY KEY REFERENCES layers ON DELETE CASCADE,
     gaps TEXT NOT NULL) STRICT`

export function putLayerGaps(run: Run, { number, gaps }: StoredLayer): void {
  if (gaps === undefined) return
  run.write('INSERT INTO layer_gaps (layer, gaps) VALUES (?, ?)', number, JSON.stringify(gaps))
}

export const layerGapsIn = (run: Run): Pick<ImageRecords, 'layerGaps'> => ({
  layerGaps(layerNumber) {
    const row = run.one('SELECT gaps FROM layer_gaps WHERE layer = ?', layerNumber)
    return row === undefined
      ? undefined
      : (JSON.parse(String(row['gaps'])) as ReturnType<ImageRecords['layerGaps']>)
  },
})

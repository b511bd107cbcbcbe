import { createHash } from 'node:crypto'
import type { StackedLayer } from './image-patch.ts'
import { type ImageRecords, PATCH_PREFIX, type StoredLayer } from './image-records.ts'
import type { LayerGaps } from './layer-gaps.ts'
import type { Trash } from './trash.ts'
import type { UntarPool } from './untar-pool.ts'

/** A layer of an image that is about to be committed, wherever it lies. */
export interface LayerOfImage {
  readonly diffId: string
  /** A directory in overlayfs's form. */
  readonly directory: string
  /** Where they are known. */
  readonly gaps: LayerGaps | undefined
}

/** A layer under the name that it was written by. */
export interface PlacedLayer {
  readonly layer: StoredLayer
  readonly from: string
}

export interface ImagePatches {
  /** What the image consists of, base first: diff ids and the names of patches. */
  readonly stack: readonly string[]
  readonly made: readonly PlacedLayer[]
}

export interface PatchOptions {
  readonly records: Pick<ImageRecords, 'nextLayerNumber'>
  readonly pool: Pick<UntarPool, 'patch'>
  readonly trash: Pick<Trash, 'discard'>
  /** A patch that is here already, or in an additional store. */
  readonly find: (name: string) => StoredLayer | undefined
  /** Where a layer lies. */
  readonly path: (layer: StoredLayer) => string
  /** A new path on the file system of the layers. */
  readonly temporary: () => string
  /** Keeps a layer until the answer is called. */
  readonly pin: (diffId: string) => () => void
  /** Until `commit` is called. */
  readonly signal: AbortSignal
}

const DIRECTORY_BYTES = 4096

/**
 * Makes the patch layers of an image, where its layers need some (layer-patch.ts), for \`commit\` to keep them: what it
 * does not is gone afterwards. A patch is named after all that lies below it, so that images with the same layers at
 * their base share it. Throws failed-precondition when a hard link leads nowhere.
 */
export async function withPatches(
  layers: readonly LayerOfImage[],
  commit: (patches: ImagePatches) => Promise<void>,
  { records, pool, trash, find, path, temporary, pin, signal }: PatchOptions,
): Promise<void> {
  const names = patchNames(layers.map(({ diffId }) => diffId))
  const known = names.map((name) => find(name))
  using held = new DisposableStack()
  for (const layer of known) if (layer !== undefined) held.defer(pin(layer.diffId))
  const targets = layers.map(({ gaps }, position) =>
    known[position] === undefined && isOpen(gaps, position) ? temporary() : undefined,
  )
  try {
    const made = targets.some((target) => target !== undefined) ? await pool.patch(stacked(), signal) : []
    signal.throwIfAborted()
    const positions = new Set(made.map(({ position }) => position))
    await commit({
      stack: layers.flatMap(({ diffId }, position) =>
        known[position] !== undefined || positions.has(position) ? [diffId, names[position] ?? ''] : [diffId],
      ),
      made: made.map(({ position, directories }) => ({
        layer: patchRecord(records.nextLayerNumber(), names[position] ?? '', directories),
        from: targets[position] ?? '',
      })),
    })
  } finally {
    for (const target of targets) if (target !== undefined) trash.discard(target)
  }

  function stacked(): readonly StackedLayer[] {
    return layers.map(({ diffId, directory, gaps }, position) => {
      const [patch, target] = [known[position], targets[position]]
      const open = gaps === undefined || target === undefined ? undefined : { gaps, target: latin1(target) }
      return {
        diffId,
        directory: latin1(directory),
        ...(patch === undefined ? {} : { patch: latin1(path(patch)) }),
        ...(open === undefined ? {} : { open }),
      }
    })
  }
}

const latin1 = (path: string): string => Buffer.from(path).toString('latin1')

/** Nothing lies below the first, so that there is nothing to take from there. */
const isOpen = (gaps: LayerGaps | undefined, position: number): gaps is LayerGaps =>
  gaps !== undefined && (gaps.links.length > 0 || (position > 0 && gaps.implied.length > 0))

/** After the chain ids of the OCI image-spec. */
function patchNames(diffIds: readonly string[]): readonly string[] {
  let chain = ''
  return diffIds.map((diffId) => {
    const hash = createHash('sha256').update(`${chain} ${diffId}`).digest('hex')
    chain = chain === '' ? diffId : `sha256:${hash}`
    return `${PATCH_PREFIX}${chain}`
  })
}

const patchRecord = (number: number, name: string, directories: number): StoredLayer => ({
  number,
  diffId: name,
  compressedBytes: 0,
  usedBytes: directories * DIRECTORY_BYTES,
  usedInodes: directories,
  format: 'overlay',
  verity: undefined,
})

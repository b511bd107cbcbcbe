import { DiskUsage } from '#linux/disk-usage.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageRecord, ImageStore } from './image-source.ts'
import type { LayerStore } from './layer-store.ts'
import { layerUsers, nameOf } from './layer-users.ts'
import type { Trash } from './trash.ts'

export interface PruneRequest {
  /** Images that no container is made of, too, but for pinned ones. */
  readonly all: boolean
  /** Only tells what would go. */
  readonly dryRun: boolean
}

export interface PruneResult {
  /** Names of the images that go. */
  readonly images: readonly string[]
  /** Diff ids of the layers that go. */
  readonly layers: readonly string[]
  /** Trees that were removed before, and are not deleted yet. */
  readonly trash: number
  readonly freedBytes: number
}

export interface StorePruneOptions {
  readonly records: ImageRecords
  readonly store: Pick<ImageStore, 'list' | 'remove'>
  readonly layers: Pick<LayerStore, 'collect' | 'isClaimed'>
  readonly trashes: readonly Trash[]
}

/** Takes away what nothing needs; answers when it is deleted. */
export async function pruneStore(
  options: StorePruneOptions,
  { all, dryRun }: PruneRequest,
): Promise<PruneResult> {
  const { store, layers, trashes } = options
  const left = trashes.flatMap((trash) => trash.graves())
  const leftBytes = await usedBytesOf(left)
  // From here to the last removal in one turn: nothing comes to use meanwhile what is found unused.
  const images = all ? unusedImages(options) : []
  const unused = unusedLayers(options, new Set(images.map(({ id }) => id)))
  const result = {
    images: images.map(nameOf),
    layers: unused.map(({ diffId }) => diffId),
    trash: left.length,
    freedBytes: unused.reduce((sum, { usedBytes }) => sum + usedBytes, leftBytes),
  }
  if (dryRun) return result
  await Promise.all(images.map(({ id }) => store.remove(id)))
  layers.collect()
  for (const trash of trashes) trash.retry()
  await Promise.all(trashes.map((trash) => trash.settled()))
  return result
}

async function usedBytesOf(paths: readonly string[]): Promise<number> {
  await using disk = new DiskUsage({ timeoutMs: 600_000 })
  let sum = 0
  for (const path of paths) sum += (await disk.measure(path)).usedBytes
  return sum
}

function unusedImages({ records, store }: StorePruneOptions): readonly ImageRecord[] {
  const users = layerUsers(records)
  return store.list().filter((image) => !image.pinned && image.store === undefined && !users.isUsed(image))
}

function unusedLayers({ records, layers }: StorePruneOptions, without: ReadonlySet<string>) {
  const needed = new Set(
    records.images().flatMap(({ id, diffIds, stack = diffIds }) => (without.has(id) ? [] : stack)),
  )
  const held = records.layersOfRootfs()
  return records.layers().filter(({ directory, diffId, number }) => {
    return directory === undefined && !needed.has(diffId) && !held.has(number) && !layers.isClaimed(diffId)
  })
}

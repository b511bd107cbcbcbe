import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '#lib/log.ts'
import { DiskUsage } from '#linux/disk-usage.ts'
import { spreadDirectories } from '#linux/spread-directories.ts'
import type { ImageVolumes } from '#runtime/image-volumes-port.ts'
import type { Clock } from '#runtime/ports.ts'
import type { ImageRootfs } from '#runtime/rootfs-port.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageRecord } from './image-source.ts'
import { LocalImageStore } from './image-store.ts'
import { createImageVolumes } from './image-volumes.ts'
import type { LayerFormat } from './layer-format.ts'
import { headersFileOf } from './layer-headers.ts'
import { LayerMounts } from './layer-mounts.ts'
import { LayerStore } from './layer-store.ts'
import { fullName } from './reference.ts'
import { createRootfs, type RootfsOptions } from './rootfs.ts'
import { Trash } from './trash.ts'
import type { UntarLimits } from './untar-messages.ts'
import { UntarPool } from './untar-pool.ts'
import { WrittenUsages } from './written-usages.ts'

export interface ImagesOptions extends Pick<RootfsOptions, 'mountPoint' | 'userHome'> {
  /** Where image volumes are mounted. */
  readonly volumesDirectory: string
  /** Where layers in the format `erofs` are mounted. */
  readonly layerMountsDirectory: string
  /** Of layers that come from now on; `overlay` when there is none. */
  readonly format?: LayerFormat
  /** Layers, records and what containers write lie in it. */
  readonly root: string
  readonly records: ImageRecords
  readonly clock: Clock
  readonly log: Log
  /** See ImageStore; by default short names are of docker.io. */
  readonly localNames?: (reference: string) => readonly string[]
  readonly isPinned?: (names: readonly string[]) => boolean
  readonly limits?: UntarLimits
  /** Called before each step by name: for tests that stop there. */
  readonly atStep?: (step: string) => void
}

export interface HeldLayer extends Disposable {
  readonly path: string
}

/** Its end stops what runs; deletions go on at the next start. */
export interface Images extends AsyncDisposable {
  readonly store: LocalImageStore
  readonly rootfs: ImageRootfs
  readonly volumes: ImageVolumes
  /** For files that need not outlive the process: see import.ts. */
  readonly temporaryDirectory: string
  /** What a container's root file system consists of: what it writes, and the layers below, top first. */
  written(containerId: string): { readonly upper: string; readonly lowers: readonly string[] }
  /** Where the files of an image's layer are, if it has but one: until it is disposed. */
  onlyLayer(image: Pick<ImageRecord, 'diffIds'>): HeldLayer | undefined
  readonly trash: Trash
  /** Resolves when what was removed is deleted. */
  settled(): Promise<void>
}

const defaultLimits: UntarLimits = { sizeBytes: 64 * 2 ** 30, entries: 2_000_000 }

/**
 * The image store of a root directory and the root file systems made from it. What a crash left half made is
 * removed, images whose layers are lost are dropped and logged.
 *
 *   root/layers/1a   an unpacked layer      root/rootfs/ID/{upper,work}   what a container writes
 *   root/trash/…     on its way out         root/images.db                the records
 */
export function openImages(options: ImagesOptions): Images {
  const { root, records, log } = options
  const directory = (name: string): string => join(root, name)
  for (const name of ['layers', 'rootfs']) mkdirSync(directory(name), { recursive: true, mode: 0o711 })
  spreadDirectories(directory('layers'))
  const pool = new UntarPool()
  const trash = new Trash(directory('trash'), pool, log)
  const mounts = new LayerMounts({ directory: options.layerMountsDirectory, records, log })
  const layers = new LayerStore({
    directory: directory('layers'),
    records,
    pool,
    trash,
    limits: options.limits ?? defaultLimits,
    format: options.format ?? 'overlay',
    mounts,
    atStep: options.atStep ?? (() => {}),
  })
  sweep(options, layers, trash)
  const disk = new DiskUsage()
  const written = new WrittenUsages({
    ...{ path: root, disk, clock: options.clock, log },
    directoryOf: (containerId) => join(directory('rootfs'), containerId, 'upper'),
  })
  const store = new LocalImageStore({
    root,
    written: () => written.total(),
    records,
    layers,
    clock: options.clock,
    log,
    isPinned: options.isPinned ?? (() => false),
    localNames: options.localNames ?? ((reference) => [fullName(reference)]),
  })
  return {
    store,
    rootfs: createRootfs({
      ...options,
      directory: directory('rootfs'),
      images: store,
      layers,
      trash,
      written,
      pool,
    }),
    volumes: createImageVolumes({ directory: options.volumesDirectory, images: store, layers, records }),
    temporaryDirectory: directory('trash'),
    written: (containerId) => ({
      upper: join(directory('rootfs'), containerId, 'upper'),
      lowers: (records.rootfs(containerId) ?? []).map((number) => layers.lowerDirectory(number)).toReversed(),
    }),
    onlyLayer({ diffIds }) {
      const [first, second] = diffIds
      const layer = first === undefined || second !== undefined ? undefined : records.layer(first)
      if (layer === undefined) return undefined
      using undo = new DisposableStack()
      undo.use(mounts.hold(layer.number))
      const path = layers.lowerDirectory(layer.number)
      const held = undo.move()
      return { path, [Symbol.dispose]: () => held.dispose() }
    },
    trash,
    async settled() {
      await mounts.settled()
      await trash.settled()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([pool[Symbol.asyncDispose](), disk[Symbol.asyncDispose](), mounts.settled()])
      await trash.settled()
    },
  }
}

/** Makes the directories and the records agree: the records decide, but for what is not there. */
function sweep({ root, records, log }: ImagesOptions, layers: LayerStore, trash: Trash): void {
  trash.empty()
  const found = new Set(readdirSync(join(root, 'layers')).map((name) => join(root, 'layers', name)))
  for (const { number, diffId } of records.layers()) {
    const isThere = found.delete(layers.path(number))
    if (isThere) found.delete(headersFileOf(layers.path(number)))
    if (isThere) continue
    const images = records.dropLostLayer(number)
    log.warn({ layer: diffId, images }, 'a layer is lost: its images are dropped, pull them again')
  }
  for (const unowned of found) trash.discard(unowned)
  const containers = new Set(records.rootfsIds())
  for (const id of readdirSync(join(root, 'rootfs'))) {
    if (!containers.has(id)) trash.discard(join(root, 'rootfs', id))
  }
  layers.collect()
}

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { DiskUsage } from '#linux/disk-usage.ts'
import { spreadDirectories } from '#linux/spread-directories.ts'
import type { ImageVolumes } from '#runtime/image-volumes-port.ts'
import type { Clock } from '#runtime/ports.ts'
import type { ImageRootfs } from '#runtime/rootfs-port.ts'
import {
  type AdditionalRoot,
  type LayerSight,
  layerSight,
  readAdditionalStores,
} from './additional-stores.ts'
import { type ImageExporter, imageExporter } from './image-exporter.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageRecord } from './image-source.ts'
import { LocalImageStore } from './image-store.ts'
import { createImageVolumes } from './image-volumes.ts'
import type { LayerFormat } from './layer-format.ts'
import { headersFileOf } from './layer-headers.ts'
import { LayerMounts } from './layer-mounts.ts'
import { LayerSlots } from './layer-slots.ts'
import { LayerStore } from './layer-store.ts'
import type { ImageAdmission } from './policy-admission.ts'
import { fullName } from './reference.ts'
import { createRootfs, type RootfsOptions } from './rootfs.ts'
import { type StoreUpkeep, storeUpkeep } from './store-upkeep.ts'
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
  /** Layers and their trash lie in it, and the records. */
  readonly root: string
  /** What containers write lies in it: `root` where nothing is said. */
  readonly containersRoot?: string
  readonly records: ImageRecords
  /** Of the containers that are there: what they wrote is kept, whatever `records` knows of it. */
  readonly containerIds?: () => readonly string[]
  /** Stores that are only read: images that are here already. */
  readonly additional?: readonly AdditionalRoot[]
  readonly clock: Clock
  readonly log: Log
  /** See ImageStore; by default short names are of docker.io. */
  readonly localNames?: (reference: string) => readonly string[]
  readonly isPinned?: (names: readonly string[]) => boolean
  /** Whether an image may be used; left out: any may. */
  readonly admit?: ImageAdmission
  readonly limits?: UntarLimits
  /** Of an uncompressed layer, in place of that in `limits`. */
  readonly maxLayerBytes?: number
  /** How many layers are fetched at once; 6 without. */
  readonly slots?: LayerSlots | undefined
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
  readonly exporter: ImageExporter
  /** For files that need not outlive the process: see import.ts. */
  readonly temporaryDirectory: string
  /** What a container's root file system consists of: what it writes, and the layers below, top first. */
  written(containerId: string): { readonly upper: string; readonly lowers: readonly string[] }
  /** Where the files of an image's layer are, if it has but one: until it is disposed. */
  onlyLayer(image: Pick<ImageRecord, 'diffIds'>): HeldLayer | undefined
  readonly trash: Trash
  readonly upkeep: StoreUpkeep
  /** Resolves when what was removed is deleted. */
  settled(): Promise<void>
}

const PARALLEL_LAYERS = 6
const defaultLimits: UntarLimits = { sizeBytes: 64 * 2 ** 30, entries: 2_000_000 }

/**
 * The image store of a root directory and the root file systems made from it. What a crash left half made is
 * removed, images whose layers are lost are dropped and logged.
 *
 *   root/layers/1a   an unpacked layer      containersRoot/rootfs/ID/{upper,work}   what a container writes
 *   root/trash/…     on its way out         root/images.db                          the records
 */
export function openImages(options: ImagesOptions): Images {
  const { root, containersRoot = root, slots = new LayerSlots(PARALLEL_LAYERS), records, log } = options
  const rootfsDirectory = join(containersRoot, 'rootfs')
  makeDirectories(root, rootfsDirectory)
  const pool = new UntarPool()
  const trash = new Trash(join(root, 'trash'), pool, log)
  const containersTrash =
    root === containersRoot ? trash : new Trash(join(containersRoot, 'trash'), pool, log)
  const sightOf = layerSight(log)
  const additional = readAdditionalStores(options.additional ?? [], log, sightOf)
  const mounts = new LayerMounts({ directory: options.layerMountsDirectory, records, log })
  const layers = new LayerStore({
    ...{ root, records, pool, additional, trash, mounts, slots },
    limits: limitsOf(options),
    format: options.format ?? 'overlay',
    atStep: options.atStep ?? (() => {}),
  })
  for (const each of new Set([trash, containersTrash])) each.empty()
  sweepLayers(options, layers, trash, sightOf)
  const rootfsIds = knownRootfs(options)
  sweepRootfs(rootfsIds(), rootfsDirectory, containersTrash)
  const disk = new DiskUsage()
  const written = new WrittenUsages({
    ...{ path: containersRoot, disk, clock: options.clock, log },
    directoryOf: (containerId) => join(rootfsDirectory, containerId, 'upper'),
  })
  const store = new LocalImageStore({
    ...{ root, containersRoot, records, layers, additional },
    written: () => written.total(),
    freed: () => mounts.settled().then(() => trash.freed()),
    clock: options.clock,
    log,
    isPinned: options.isPinned ?? (() => false),
    localNames: options.localNames ?? ((reference) => [fullName(reference)]),
  })
  return {
    store,
    rootfs: createRootfs({
      ...options,
      ...{ directory: rootfsDirectory, trash: containersTrash },
      ...{ images: store, layers, written, pool },
    }),
    volumes: createImageVolumes({ directory: options.volumesDirectory, images: store, layers, records }),
    exporter: imageExporter({ store, records, additional, layers, pool }),
    temporaryDirectory: join(root, 'trash'),
    written: (containerId) => ({
      upper: join(rootfsDirectory, containerId, 'upper'),
      lowers: (records.rootfs(containerId) ?? []).map((place) => layers.lowerDirectory(place)).toReversed(),
    }),
    onlyLayer({ diffIds: [first, ...others] }) {
      if (first === undefined || others.length > 0) return undefined
      const layer = records.layer(first) ?? layers.adopt([first])[0]
      if (layer === undefined) return undefined
      using undo = new DisposableStack()
      undo.use(mounts.hold(layer.number))
      const path = layers.lowerDirectory(layer)
      const held = undo.move()
      return { path, [Symbol.dispose]: () => held.dispose() }
    },
    trash: containersTrash,
    upkeep: storeUpkeep({ root, containersRoot, records, rootfsIds, layers, trash, containersTrash, store }),
    async settled() {
      await mounts.settled()
      await Promise.all([trash.settled(), containersTrash.settled()])
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([pool[Symbol.asyncDispose](), disk[Symbol.asyncDispose](), mounts.settled()])
      await Promise.all([trash.settled(), containersTrash.settled()])
    },
  }
}

function makeDirectories(root: string, rootfsDirectory: string): void {
  mkdirSync(rootfsDirectory, { recursive: true, mode: 0o711 })
  const layers = join(root, 'layers')
  readable(root, () => {
    mkdirSync(layers, { recursive: true, mode: 0o711 })
    spreadDirectories(layers)
  })
}

const limitsOf = ({
  limits = defaultLimits,
  maxLayerBytes = limits.sizeBytes,
}: ImagesOptions): UntarLimits => ({
  ...limits,
  sizeBytes: maxLayerBytes,
})

/** Makes the directories and the records agree: the records decide, but for what is not there. */
function sweepLayers(
  { root, records, log }: ImagesOptions,
  layers: LayerStore,
  trash: Trash,
  sightOf: LayerSight,
): void {
  const directory = join(root, 'layers')
  const names = readable(root, () => readdirSync(directory))
  const found = new Set(names.map((name) => join(directory, name)))
  for (const layer of records.layers()) {
    const path = layers.path(layer)
    if (found.delete(path)) found.delete(headersFileOf(path))
    else if (layer.directory === undefined || sightOf(layer.directory) === 'lost') {
      const images = records.dropLostLayer(layer.number)
      log.warn({ layer: layer.diffId, images }, 'a layer is lost: its images are dropped, pull them again')
    }
  }
  for (const unowned of found) trash.discard(unowned)
  layers.collect()
}

function readable<Result>(root: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    throw new CriError('failed-precondition', `the image store ${root} cannot be read: see to its disk`, {
      cause,
    })
  }
}

const knownRootfs =
  ({ records, containerIds = () => [] }: ImagesOptions) =>
  (): ReadonlySet<string> =>
    new Set([...records.rootfsIds(), ...containerIds()])

function sweepRootfs(known: ReadonlySet<string>, directory: string, trash: Trash): void {
  for (const id of readdirSync(directory)) if (!known.has(id)) trash.discard(join(directory, id))
}

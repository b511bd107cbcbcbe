import { lstatSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { DiskUsage } from '#linux/disk-usage.ts'
import { namesIn } from '#linux/names-in.ts'
import type { ImageRecords } from './image-records.ts'
import { headersFileOf } from './layer-headers.ts'
import type { LayerStore } from './layer-store.ts'
import { type LayerUsers, layerUsers } from './layer-users.ts'

/** What something owns of the disk. */
export interface StoreOwner {
  readonly kind:
    | 'image'
    | 'shared'
    | 'held'
    | 'pull'
    | 'container'
    | 'volumes'
    | 'trash'
    | 'checkpoints'
    | 'networks'
    | 'databases'
    | 'store'
    | 'unowned'
  /** Names of images, ids of containers, or the path of what nobody owns. */
  readonly names: readonly string[]
  readonly usedBytes: number
  readonly usedInodes: number
}

export interface StoreUsage {
  readonly owners: readonly StoreOwner[]
  /** Of each directory all that is in it, as du(1) counts. */
  readonly totals: readonly {
    readonly path: string
    readonly usedBytes: number
    readonly usedInodes: number
  }[]
  /** False when a tree was too big to be measured to its end: there is more. */
  readonly isWhole: boolean
}

export interface StoreUsageOptions {
  readonly root: string
  readonly containersRoot: string
  readonly records: ImageRecords
  readonly layers: Pick<LayerStore, 'path' | 'ingests'>
  readonly disk: Pick<DiskUsage, 'measure'>
}

/** Names the owner of every byte of the image root and of the root directory. Measures in a worker. */
export async function storeUsage(options: StoreUsageOptions): Promise<StoreUsage> {
  const { root, containersRoot, disk } = options
  const ownerOf = owners(options)
  const found = new Map<string, StoreOwner>()
  const totals: StoreUsage['totals'][number][] = []
  let isWhole = true
  for (const base of new Set([root, containersRoot])) {
    const total = { path: base, usedBytes: 0, usedInodes: 0 }
    for (const { path, isTree } of partsOf(base, root)) {
      const { usedBytes, usedInodes, ...measured } = isTree ? await disk.measure(path) : alone(path)
      isWhole &&= measured.isWhole
      const owner = ownerOf(base, path)
      const key = JSON.stringify([owner.kind, owner.names])
      const known = found.get(key) ?? { ...owner, usedBytes: 0, usedInodes: 0 }
      found.set(key, added(known, usedBytes, usedInodes))
      total.usedBytes += usedBytes
      total.usedInodes += usedInodes
    }
    totals.push(total)
  }
  const most = (a: StoreOwner, b: StoreOwner): number => b.usedBytes - a.usedBytes
  return { owners: [...found.values()].toSorted(most), totals, isWhole }
}

const added = (owner: StoreOwner, usedBytes: number, usedInodes: number): StoreOwner => ({
  ...owner,
  usedBytes: owner.usedBytes + usedBytes,
  usedInodes: owner.usedInodes + usedInodes,
})

interface Part {
  readonly path: string
  /** With all that is in it; else the directory alone. */
  readonly isTree: boolean
}

/** Directories whose entries have owners of their own. */
const SHARED = ['layers', 'rootfs', 'trash']

/** Every entry once; the image root may lie in the root directory. */
function partsOf(base: string, imageRoot: string): readonly Part[] {
  const isAbove = (path: string): boolean => base !== imageRoot && `${imageRoot}/`.startsWith(`${path}/`)
  const inside = (path: string): readonly Part[] => [
    { path, isTree: false },
    ...namesIn(path).flatMap((name) => entry(join(path, name))),
  ]
  const entry = (path: string): readonly Part[] => {
    const [first = '', ...below] = relative(base, path).split('/')
    const isShared = below.length === 0 ? SHARED.includes(first) : first === 'rootfs' && below.length === 1
    return isShared && lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
      ? inside(path)
      : [{ path, isTree: true }]
  }
  const names = readdirSync(base).map((name) => join(base, name))
  return [{ path: base, isTree: false }, ...names.filter((path) => !isAbove(path)).flatMap(entry)]
}

function alone(path: string) {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return { usedBytes: (stat?.blocks ?? 0) * 512, usedInodes: stat === undefined ? 0 : 1, isWhole: true }
}

type Owner = Pick<StoreOwner, 'kind' | 'names'>

const FILES: { readonly [name: string]: StoreOwner['kind'] } = {
  layers: 'store',
  rootfs: 'store',
  trash: 'trash',
  checkpoints: 'checkpoints',
  cni: 'networks',
  'daemon.lock': 'store',
  'image-store': 'store',
  'in-use': 'store',
  'lost+found': 'store',
}

function owners({ records, layers }: StoreUsageOptions): (base: string, path: string) => Owner {
  const containers = new Set(records.rootfsIds())
  let layerOwners = ownersOfLayers(records, layers)
  const ofLayer = (path: string): Owner | undefined => {
    // It may have come meanwhile.
    if (!layerOwners.has(path)) layerOwners = ownersOfLayers(records, layers)
    return layerOwners.get(path)
  }
  const inRootfs = (id: string, part: string | undefined): Owner | undefined =>
    containers.has(id) ? { kind: part === 'volumes' ? 'volumes' : 'container', names: [id] } : undefined
  return (base, path) => {
    const [first = '', name, part] = relative(base, path).split('/')
    const owner =
      name === undefined || first === 'trash'
        ? ownerOfName(first)
        : first === 'layers'
          ? ofLayer(path)
          : inRootfs(name, part)
    return owner ?? { kind: 'unowned', names: [path] }
  }
}

/** By the paths of their files. */
function ownersOfLayers(
  records: ImageRecords,
  layers: StoreUsageOptions['layers'],
): ReadonlyMap<string, Owner> {
  const users = layerUsers(records)
  const known = records
    .layers()
    .map((layer) => [layers.path(layer), ownerOfLayer(users, layer.number)] as const)
  const coming = layers.ingests().map((path) => [path, { kind: 'pull', names: [] } as const] as const)
  return new Map(
    [...known, ...coming].flatMap(([path, owner]) => [
      [path, owner],
      [headersFileOf(path), owner],
    ]),
  )
}

/** What lies directly in one of the roots, which is '' itself. */
function ownerOfName(name: string): Owner | undefined {
  if (/^(?:images|records)\.db(?:-wal|-shm)?$/.test(name)) return { kind: 'databases', names: [] }
  const kind = name === '' ? 'store' : FILES[name]
  return kind && { kind, names: [] }
}

function ownerOfLayer(users: LayerUsers, layer: number): Owner {
  const [first, ...others] = users.images.get(layer) ?? []
  if (first === undefined) return { kind: 'held', names: users.containers.get(layer) ?? [] }
  return { kind: others.length === 0 ? 'image' : 'shared', names: [first, ...others] }
}

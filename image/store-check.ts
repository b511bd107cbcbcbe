import { createHash } from 'node:crypto'
import { closeSync, existsSync, lstatSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describeError } from '#lib/errors.ts'
import { measureVerity } from '#linux/fs-verity.ts'
import { namesIn } from '#linux/names-in.ts'
import { parseImageConfig } from './image-config.ts'
import {
  ARTIFACT_PREFIX,
  type ImageRecords,
  PATCH_PREFIX,
  type StoredImage,
  type StoredLayer,
} from './image-records.ts'
import { type LayerCheckAnswer, LayerChecker } from './layer-check.ts'
import { headersFileOf } from './layer-headers.ts'
import type { LayerStore } from './layer-store.ts'
import { layerUsers, nameOf } from './layer-users.ts'
import type { Trash } from './trash.ts'

export interface StoreProblem {
  /** A layer by its diff id, an image by its id, a path, or the database. */
  readonly subject: string
  readonly what: string
  /** Names of the images that need it. */
  readonly images: readonly string[]
  /** Ids of the containers that are made of it: it is not taken from them. */
  readonly containers: readonly string[]
  readonly repaired: boolean
  /** False of what could not be read: nothing is known to be wrong with it, nothing is taken away. */
  readonly checked: boolean
}

export interface StoreCheck {
  readonly problems: readonly StoreProblem[]
  readonly layers: number
  readonly images: number
  /** Diff ids of layers of which only the place was checked: an earlier version unpacked them, or they are an artifact's. */
  readonly unverified: readonly string[]
}

export interface StoreCheckOptions {
  readonly root: string
  readonly containersRoot: string
  readonly records: ImageRecords
  /** Of root file systems, and of containers that have or had one. */
  readonly rootfsIds: () => ReadonlySet<string>
  readonly layers: Pick<LayerStore, 'path' | 'ingests' | 'isClaimed' | 'quiet'>
  readonly trash: Trash
  readonly containersTrash: Trash
  /** After images were dropped. */
  readonly refresh: () => void
  /** Whether the content of every file is read, or only what is there is looked at. */
  readonly deep: boolean
  readonly signal: AbortSignal
}

/**
 * Holds records against directories, and layers against their digests. With `repair` a broken layer goes with its
 * images, but not one that a container is made of, nor one that cannot be read: that may pass; what no record owns goes,
 * too.
 */
export async function checkStore(options: StoreCheckOptions, repair: boolean): Promise<StoreCheck> {
  const { records, signal } = options
  const problems: StoreProblem[] = []
  const unverified: string[] = []
  const layers = records.layers().filter(({ directory }) => directory === undefined)
  await using checker = options.deep ? new LayerChecker() : undefined
  for (const layer of layers) {
    signal.throwIfAborted()
    const found = await checkLayer(layer, options, checker)
    if (found.unknown === true) unverified.push(layer.diffId)
    // It may have gone meanwhile, with its image.
    if (records.layerByNumber(layer.number) !== undefined)
      problems.push(...faults(layer, found, options, repair))
  }
  const images = records.images()
  for (const image of images) problems.push(...brokenImage(image, options, repair))
  await options.layers.quiet()
  problems.push(...unowned(options, repair))
  for (const what of records.damage()) {
    problems.push({ ...broken, subject: 'images.db', what })
  }
  if (problems.some(({ repaired }) => repaired)) options.refresh()
  return { problems, layers: layers.length, images: images.length, unverified }
}

const broken = { images: [], containers: [], repaired: false, checked: true }

async function checkLayer(
  layer: StoredLayer,
  { layers, signal }: StoreCheckOptions,
  checker: LayerChecker | undefined,
): Promise<LayerCheckAnswer> {
  const directory = layers.path(layer)
  const place = placeOf(layer, directory)
  // What was made to lie between the layers of an image has no tar that it came from.
  const isPatch = layer.diffId.startsWith(PATCH_PREFIX)
  const isDone = place.problems.length > 0 || place.unread !== undefined
  if (isDone || checker === undefined || isPatch) return place
  // Its blob is no tar, or one whose digest nobody has told; the kernel has verified it where it is a file with fs-verity.
  if (layer.diffId.startsWith(ARTIFACT_PREFIX)) return { problems: [], unknown: layer.verity === undefined }
  const { diffId } = layer
  return await checker.check({ directory, headersFile: headersFileOf(directory), diffId }, signal)
}

function placeOf(layer: StoredLayer, path: string): LayerCheckAnswer {
  const isErofs = layer.format === 'erofs'
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return goneFrom(path)
    if (isErofs !== stat.isFile()) return { problems: [`${path} is no ${isErofs ? 'file' : 'directory'}`] }
    return { problems: isErofs ? verityProblems(layer, path) : [] }
  } catch (error) {
    return { problems: [], unread: describeError(error) }
  }
}

/** With the directory of all layers it is their disk that is away. */
function goneFrom(path: string): LayerCheckAnswer {
  const all = dirname(path)
  if (existsSync(all)) return { problems: [`${path} is gone`] }
  return { problems: [], unread: `${all} is not there: mount the disk of the image store` }
}

/** The kernel holds what is read of the file to this digest. */
function verityProblems({ verity }: StoredLayer, path: string): readonly string[] {
  const fd = openSync(path, 'r')
  try {
    const found = verity === undefined ? undefined : measureVerity(fd)
    if (found === verity) return []
    return [`${path} has the fs-verity digest ${found ?? 'of none'}, it should be ${verity}`]
  } finally {
    closeSync(fd)
  }
}

function faults(
  { number, diffId }: StoredLayer,
  { problems, unread }: LayerCheckAnswer,
  { records, layers, trash }: StoreCheckOptions,
  repair: boolean,
): readonly StoreProblem[] {
  if (problems.length === 0 && unread === undefined) return []
  const users = layerUsers(records)
  const images = users.images.get(number) ?? []
  const containers = users.containers.get(number) ?? []
  const problem = { subject: `layer ${diffId}`, images, containers }
  if (unread !== undefined) {
    return [{ ...problem, what: `it could not be checked: ${unread}`, repaired: false, checked: false }]
  }
  const repaired = repair && containers.length === 0 && !layers.isClaimed(diffId)
  if (repaired) {
    records.dropLostLayer(number)
    trash.discard(headersFileOf(layers.path({ number })))
    trash.discard(layers.path({ number }))
  }
  return [{ ...problem, what: problems.join('; '), repaired, checked: true }]
}

function brokenImage(image: StoredImage, { records }: StoreCheckOptions, repair: boolean): StoreProblem[] {
  const what = faultOf(image)
  if (what === undefined) return []
  if (repair) records.removeImage(image.id)
  return [{ ...broken, subject: `image ${image.id}`, what, images: [nameOf(image)], repaired: repair }]
}

function faultOf({ id, config, diffIds }: StoredImage): string | undefined {
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`
  if (digest !== id) return `its config has the digest ${digest}`
  const wanted = parseImageConfig(config, id).diffIds
  return wanted.join() === diffIds.join() ? undefined : 'its layers are not those that its config names'
}

/** Of layers that come at this moment the directories are known, too. */
function unowned(options: StoreCheckOptions, repair: boolean): readonly StoreProblem[] {
  const { root, containersRoot, records, rootfsIds, layers, trash, containersTrash } = options
  const known = [...records.layers().map((layer) => layers.path(layer)), ...layers.ingests()]
  const owned = new Set(
    known.flatMap((path) => [path, headersFileOf(path), `${headersFileOf(path)}.replaced`]),
  )
  const containers = rootfsIds()
  const leave = (path: string, bin: Trash): StoreProblem => {
    if (repair) bin.discard(path)
    return { ...broken, subject: path, what: 'no record owns it', repaired: repair }
  }
  const left = namesIn(join(root, 'layers')).map((name) => join(root, 'layers', name))
  const lost = namesIn(join(containersRoot, 'rootfs')).filter((id) => !containers.has(id))
  return [
    ...left.filter((path) => !owned.has(path)).map((path) => leave(path, trash)),
    ...lost.map((id) => leave(join(containersRoot, 'rootfs', id), containersTrash)),
  ]
}

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { Paths } from './paths.ts'

/** What a store has that must not be left behind. */
export interface StoreContents {
  readonly storeId: string
  readonly images: number
  /** Root file systems and volumes of containers that are made of its layers. */
  readonly used: number
}

export interface SettledPlace {
  /** Takes the store that was opened there, by its id; throws failed-precondition where it is not the one from before. */
  accept(storeId: string): void
}

interface Note {
  readonly place: string
  /** Undefined in a note of an earlier version. */
  readonly storeId: string | undefined
}

/**
 * Root's note says where the image store lies, and which one it is. Throws failed-precondition when it is to be elsewhere
 * now while the one before still has something; and when it is missing, as where its disk is not mounted: with a new one
 * in its place nothing would know what the files of root's containers are for.
 */
export function settleImageStore(
  { root, imageRoot }: Pick<Paths, 'root' | 'imageRoot'>,
  contentsOf: (imagesDatabase: string) => StoreContents,
): SettledPlace {
  const path = join(root, 'image-store')
  const note = noted(path) ?? { place: root, storeId: undefined }
  const isLeft = note.place !== imageRoot && leaves(note, imageRoot, contentsOf)
  const expected = isLeft ? undefined : note.storeId
  const database = join(imageRoot, 'images.db')
  const giveUp = `; or, if that is gone for good, remove ${path}: images are then pulled anew`
  if (expected !== undefined && !isThere(database)) {
    throw new CriError(
      'failed-precondition',
      `${database} is missing, but ${root} was used with an image store ${note.place === imageRoot ? 'there' : `in ${note.place}`}: ` +
        `mount the disk that holds it${giveUp}`,
    )
  }
  return {
    accept(storeId) {
      if (expected !== undefined && storeId !== expected) {
        throw new CriError(
          'failed-precondition',
          `${database} is of another image store than the one that ${root} was used with: mount the disk that holds that${giveUp}`,
        )
      }
      if (note.place === imageRoot && note.storeId === storeId) return
      mkdirSync(root, { recursive: true })
      writeFileSync(`${path}.new`, `${imageRoot}\n${storeId}\n`, { flush: true })
      renameSync(`${path}.new`, path)
    },
  }
}

/** Whether the store of the note is there and holds nothing, so that another one may take its place. */
function leaves(
  { place, storeId: noted }: Note,
  imageRoot: string,
  contentsOf: (imagesDatabase: string) => StoreContents,
): boolean {
  const database = join(place, 'images.db')
  if (!isThere(database)) return false
  const { storeId, images, used } = contentsOf(database)
  if (images > 0 || used > 0) throw leftBehind(place, imageRoot, images, used)
  return storeId === noted
}

function isThere(database: string): boolean {
  try {
    statSync(database)
    return true
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return false
    throw new CriError('failed-precondition', `the image store's ${database} cannot be read`, { cause })
  }
}

function noted(path: string): Note | undefined {
  try {
    const [place = '', storeId = ''] = readFileSync(path, 'utf8').split('\n')
    return place === '' ? undefined : { place, storeId: storeId === '' ? undefined : storeId }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const leftBehind = (before: string, now: string, images: number, used: number): CriError =>
  new CriError(
    'failed-precondition',
    `the image store is to be ${now}, but ${images} images and ${used} root file systems of containers are in ${before}: ` +
      `set image.image_store = "${before}", or move it while cri-ts is stopped: mv ${before}/layers ${before}/images.db* ${now}/`,
  )

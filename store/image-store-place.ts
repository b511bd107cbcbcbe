import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { Paths } from './paths.ts'

/** What a store has that must not be left behind. */
export interface StoreContents {
  readonly images: number
  /** Root file systems and volumes of containers that are made of its layers. */
  readonly used: number
}

/**
 * Remembers in root where the image store lies. Throws failed-precondition when it is elsewhere now while the one before
 * still has something: containers are made of that, and its space would never be freed.
 */
export function settleImageStore(
  { root, imageRoot }: Pick<Paths, 'root' | 'imageRoot'>,
  contentsOf: (imagesDatabase: string) => StoreContents,
): void {
  const note = join(root, 'image-store')
  const before = noted(note) ?? root
  if (before === imageRoot) return
  const database = join(before, 'images.db')
  if (existsSync(database)) {
    const { images, used } = contentsOf(database)
    if (images > 0 || used > 0) throw leftBehind(before, imageRoot, images, used)
  }
  mkdirSync(dirname(note), { recursive: true })
  writeFileSync(note, `${imageRoot}\n`)
}

function noted(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
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

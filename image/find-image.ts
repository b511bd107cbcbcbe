import { CriError } from '#lib/errors.ts'
import type { ImageRecord, ImageStore } from './image-source.ts'
import { isImageId, parseReference } from './reference.ts'

export type LocalImages = Pick<ImageStore, 'find' | 'localNames'>

/**
 * The local image of that id, prefix of an id as crictl shows it, tag or digest. A name goes before a prefix of an id
 * that looks the same. Throws invalid-argument for what is no reference.
 */
export function findImage(store: LocalImages, text: string): ImageRecord | undefined {
  if (isImageId(text)) return store.find(text)
  for (const name of store.localNames(text)) {
    const found = store.find(name)
    if (found !== undefined) return found
  }
  return idPrefixForm.test(text) ? store.find(text) : undefined
}

/** The full names that a text may mean which a pod has for the image; none where it is the image's id, or begins that. */
export function namesSaid(
  store: Pick<LocalImages, 'localNames'>,
  text: string,
  { id, tags, digests }: Pick<ImageRecord, 'id' | 'tags' | 'digests'>,
): readonly string[] {
  if (isImageId(text)) return []
  const names = namesOf(store, text)
  const isName = names.some((name) => tags.includes(name) || digests.includes(name))
  return !isName && idPrefixForm.test(text) && id.startsWith(`sha256:${text}`) ? [] : names
}

/**
 * Of an image's digests the one under which it was had by one of these full names: that very digest, else what their
 * repository gave last, else any.
 */
export function digestSaid(digests: readonly string[], said: readonly string[]): string | undefined {
  const exact = said.find((name) => digests.includes(name))
  const ofRepository = said.flatMap((name) => {
    const repository = `${parseReference(name).name}@`
    return digests.findLast((digest) => digest.startsWith(repository)) ?? []
  })
  return exact ?? ofRepository[0] ?? digests[0]
}

/** None of what is no reference. */
function namesOf(store: Pick<LocalImages, 'localNames'>, text: string): readonly string[] {
  try {
    return store.localNames(text)
  } catch (error) {
    if (error instanceof CriError && error.kind === 'invalid-argument') return []
    throw error
  }
}

const idPrefixForm = /^[0-9a-f]{3,63}$/

import type { ImageRecord, ImageStore } from './image-source.ts'
import { isImageId } from './reference.ts'

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
  return /^[0-9a-f]{3,63}$/.test(text) ? store.find(text) : undefined
}

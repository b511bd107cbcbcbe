import type { ImageRecord, ImageStore } from './image-source.ts'
import { isImageId, parseReference } from './reference.ts'

/**
 * The local image of that id, prefix of an id as crictl shows it, tag or digest. A name goes before a prefix of an id
 * that looks the same. Throws invalid-argument for what is no reference.
 */
export function findImage(store: Pick<ImageStore, 'find'>, text: string): ImageRecord | undefined {
  if (isImageId(text)) return store.find(text)
  const { canonical, tagged = '' } = parseReference(text)
  return store.find(canonical ?? tagged) ?? (/^[0-9a-f]{3,63}$/.test(text) ? store.find(text) : undefined)
}

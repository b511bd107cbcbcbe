import { createHash } from 'node:crypto'
import { parseImageConfig } from '#image/image-config.ts'
import type { ImageRecord, ImageSource, ImageStore, LayerSource } from '#image/image-source.ts'
import { fullName } from '#image/reference.ts'
import { CriError } from '#lib/errors.ts'

/** An image store in memory, which verifies what the real one verifies, but for the diff ids, and unpacks nothing. */
export class FakeImageStore implements ImageStore {
  readonly #images = new Map<string, ImageRecord>()
  readonly #layers = new Map<string, Buffer>()
  readonly #configs = new Map<string, Buffer>()

  async add(source: ImageSource, signal: AbortSignal): Promise<string> {
    const id = sha256(source.config)
    for (const layer of source.layers) {
      if (!this.#layers.has(layer.diffId)) this.#layers.set(layer.diffId, await readLayer(layer, signal))
      layer.arrived?.()
    }
    signal.throwIfAborted()
    const { config, diffIds, platform } = parseImageConfig(source.config, id)
    const before = this.#images.get(id)
    this.#configs.set(id, source.config)
    for (const [other, image] of this.#images) {
      const tags = image.tags.filter((tag) => !source.tags.includes(tag))
      const digests = image.digests.filter((digest) => !source.digests.includes(digest))
      this.#images.set(other, { ...image, tags, digests })
    }
    const layerBytes = diffIds.map((diffId) => this.#layers.get(diffId)?.length ?? 0)
    this.#images.set(id, {
      id,
      tags: union(before?.tags, source.tags),
      digests: union(before?.digests, source.digests),
      sizeBytes: layerBytes.reduce((sum, bytes) => sum + bytes, source.config.length),
      config,
      platform,
      manifestDigest: source.manifestDigest,
      diffIds,
      pulledAtNs: '1700000000000000000',
      pinned: false,
    })
    return id
  }

  find(reference: string): ImageRecord | undefined {
    const isPrefix = /^[0-9a-f]{3,64}$/.test(reference)
    return this.list().find(
      ({ id, tags, digests }) =>
        id === reference ||
        tags.includes(reference) ||
        digests.includes(reference) ||
        (isPrefix && id.startsWith(`sha256:${reference}`)),
    )
  }

  localNames(reference: string): readonly string[] {
    return [fullName(reference)]
  }

  list(): readonly ImageRecord[] {
    return [...this.#images.values()]
  }

  configOf(id: string): Buffer | undefined {
    return this.#configs.get(id)
  }

  async remove(reference: string): Promise<void> {
    const found = this.find(reference)
    if (found !== undefined) this.#images.delete(found.id)
  }

  async freed(): Promise<void> {}

  async usage() {
    const usedBytes = this.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const usage = { path: '/images', usedBytes, usedInodes: this.#layers.size }
    return { images: usage, containers: usage }
  }

  clear(): void {
    this.#images.clear()
    this.#layers.clear()
  }

  /** What a layer's blob held. */
  layer(diffId: string): Buffer | undefined {
    return this.#layers.get(diffId)
  }
}

async function readLayer(layer: LayerSource, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await layer.open(signal)) chunks.push(chunk)
  const blob = Buffer.concat(chunks)
  if (sha256(blob) === layer.digest) return blob
  throw new CriError('unavailable', `layer ${layer.digest} has the digest ${sha256(blob)}`)
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const union = (before: readonly string[] = [], more: readonly string[]): string[] => [
  ...new Set([...before, ...more]),
]

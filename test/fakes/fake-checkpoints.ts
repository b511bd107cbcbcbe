import { invalidArgument } from '#lib/errors.ts'
import type { CheckpointArchives } from '#runtime/checkpoint-port.ts'
import type { LocalImage } from '#runtime/ports.ts'
import type { FakeHost } from './fake-host.ts'

/** The name and the id of an image that holds a checkpoint. */
export const savedImage = { name: 'localhost/saved:1', id: `sha256:${'5'.repeat(64)}` }

/** A new daemon finds nothing laid out. */
export function fakeCheckpoints(host: FakeHost, image: LocalImage): CheckpointArchives {
  host.checkpoints.clear()
  return {
    async prepare(id) {
      host.checkpoints.add(id)
      return { images: `/checkpoints/${id}/images`, work: `/checkpoints/${id}` }
    },
    async pack(id, description, location) {
      if (!host.checkpoints.has(id)) throw new Error(`nothing is prepared for ${id}`)
      host.archives.set(location, description)
    },
    isCheckpoint: (reference) => reference.startsWith('/') || reference === savedImage.name,
    async open(id, reference) {
      if (!reference.endsWith('.tar') && reference !== savedImage.id)
        throw invalidArgument(`checkpoint ${reference}: it is no archive`)
      host.checkpoints.add(id)
      return {
        imagesDirectory: `/checkpoints/${id}/images`,
        upperDirectory: `/checkpoints/${id}/upper`,
        images: [image.id],
        bindDestinations: reference.includes('mounts') ? ['/data'] : [],
      }
    },
    async remove(id) {
      host.checkpoints.delete(id)
    },
  }
}

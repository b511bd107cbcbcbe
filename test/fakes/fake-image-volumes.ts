import { CriError } from '#lib/errors.ts'
import type { ImageVolumes } from '#runtime/image-volumes-port.ts'
import type { FakeHost } from './fake-host.ts'

export function fakeImageVolumes(host: FakeHost): ImageVolumes {
  return {
    async mount(containerId, { index, subPath }) {
      host.imageVolumes.add(`${containerId}/${index}`)
      if (subPath === 'missing') throw new CriError('not-found', 'there is no directory missing in the image')
      return `/image-volumes/${containerId}/${index}/${subPath}`
    },
    async remove(containerId) {
      const container = host.containers.get(containerId)
      if (container !== undefined && container.phase !== 'ended')
        throw new Error(`umount ${containerId}: EBUSY`)
      for (const key of host.imageVolumes)
        if (key.startsWith(`${containerId}/`)) host.imageVolumes.delete(key)
    },
    leftovers: () => [...new Set([...host.imageVolumes].map((key) => key.split('/')[0] ?? ''))],
  }
}

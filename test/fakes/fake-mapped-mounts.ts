import type { MappedMounts } from '#runtime/mapped-mounts-port.ts'
import type { FakeHost } from './fake-host.ts'

export function fakeMappedMounts(host: FakeHost): MappedMounts {
  return {
    async mount({ containerId, name, source }) {
      const mounts = host.mappedMounts.get(containerId) ?? []
      host.mappedMounts.set(containerId, [...mounts, source.path])
      return `/mapped/${containerId}/${name}`
    },
    async remove(containerId) {
      host.mappedMounts.delete(containerId)
    },
    leftovers: () => [...host.mappedMounts.keys()],
  }
}

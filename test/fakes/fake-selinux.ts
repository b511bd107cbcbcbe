import { CriError } from '#lib/errors.ts'
import type { Selinux } from '#runtime/selinux-port.ts'
import type { FakeHost } from './fake-host.ts'

/** A path with "endless" in it is labelled until that is cancelled. */
export function fakeSelinux(host: FakeHost): Selinux {
  const { selinux, fileLabels } = host
  const endless = new Map<string, (error: Error) => void>()
  return {
    get enabled() {
      return selinux.enabled
    },
    containerContexts: async () => ({
      process: 'system_u:system_r:container_t:s0',
      file: 'system_u:object_r:container_file_t:s0',
    }),
    isValid: async (label) => !selinux.invalid.has(label),
    async relabel(owner, paths, label) {
      for (const path of paths) {
        if (path.includes('endless')) {
          await new Promise((_, reject) => {
            endless.set(owner, reject)
            host.tellChange()
          })
        }
        fileLabels.set(path, label)
      }
    },
    giveUp(owner) {
      endless.get(owner)?.(new CriError('cancelled', 'the pod is being stopped'))
      return new DisposableStack()
    },
  }
}

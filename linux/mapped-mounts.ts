import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MappedMountRequest, MappedMounts } from '#runtime/mapped-mounts-port.ts'
import { namesIn } from './names-in.ts'
import type { HeldLocks } from './object-lock.ts'
import type { ProcessWatcher } from './process-watcher.ts'
import { removeMountPoints } from './remove-mount-point.ts'
import { holdUserNamespace } from './user-namespace.ts'

export interface MappedMountsOptions {
  readonly directory: string
  readonly watcher: ProcessWatcher
  /** The lock of a container, for what runs on its behalf: see linux/object-lock.ts. */
  readonly lock: HeldLocks['hold']
  /** See linux/mapped-copy.ts; the source is a foreign path. */
  readonly copy: (source: string, target: string, userNamespace: string) => Promise<void>
}

/** Copies of mounts with mapped ids, at `directory`/CONTAINER/NAME: never a file's owner is changed. */
export function createMappedMounts({ directory, watcher, lock, copy }: MappedMountsOptions): MappedMounts {
  /** With a user namespace of these mappings for this once, where the pod has another or none. */
  async function copyBy(request: MappedMountRequest, target: string): Promise<void> {
    const { containerId, source, mappings, userNamespace } = request
    if (userNamespace !== undefined) return copy(source.path, target, userNamespace)
    using held = lock(containerId)
    await using holder = await holdUserNamespace(mappings, [], { watcher, lockFd: held.fd })
    await copy(source.path, target, holder.path('user'))
  }

  return {
    async mount(request) {
      const home = join(directory, request.containerId)
      const target = join(home, request.name)
      mkdirSync(home, { recursive: true, mode: 0o700 })
      if (request.source.kind === 'directory') mkdirSync(target, { recursive: true })
      else writeFileSync(target, '')
      await copyBy(request, target)
      return target
    },

    async remove(containerId) {
      await removeMountPoints(join(directory, containerId))
    },

    leftovers: () => namesIn(directory),
  }
}

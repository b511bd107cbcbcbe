import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { unmount } from './libc.ts'
import { cloneMount, type DetachedMount } from './mount-api.ts'
import type { OverlayLayers } from './overlay.ts'

export interface MappedOverlay {
  readonly layers: OverlayLayers
  readonly target: string
  /** Where the user namespace is pinned by which the ids of the lower layers are mapped. */
  readonly userNamespace: string
  /** A name for a directory that older kernels need meanwhile. */
  readonly staging: string
}

/**
 * Mounts overlays whose lower layers have mapped ids (Linux 5.19): no file is copied or changed. Layers of a mount that
 * is attached nowhere are taken since Linux 6.15; before, it is attached at `staging` for as long as that takes.
 */
export function mappedOverlayMounter(
  mountOverlay: (layers: OverlayLayers, target: string) => void,
): (overlay: MappedOverlay) => Promise<void> {
  let takesDetached = true
  return async ({ layers, target, userNamespace, staging }) => {
    const home = dirname(layers.lower[0])
    using copy = mappedCopy(home, userNamespace)
    const mountFrom = (directory: string): void => {
      const [top, ...below] = layers.lower.map((path) =>
        dirname(path) === home ? join(directory, basename(path)) : path,
      )
      mountOverlay({ ...layers, lower: [top ?? directory, ...below] }, target)
    }
    if (takesDetached) {
      try {
        mountFrom(`/proc/self/fd/${copy.fd}`)
        return
      } catch (error) {
        if (errnoOf(error) !== 'EINVAL') throw error
      }
    }
    mkdirSync(staging, { recursive: true, mode: 0o700 })
    copy.attach(staging)
    try {
      mountFrom(staging)
      takesDetached = false
    } finally {
      await unmount(staging)
      rmdirSync(staging)
    }
  }
}

function mappedCopy(directory: string, userNamespace: string): DetachedMount {
  const namespace = openSync(userNamespace, 'r')
  using undo = new DisposableStack()
  try {
    const copy = undo.use(cloneMount(directory, false))
    copy.mapIds(namespace, false)
    undo.move()
    return copy
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `the ids of ${directory} can't be mapped for a user namespace: ` +
        'put the root directory of cri-ts on another file system (ext4, xfs, btrfs …), or run the pod with hostUsers: true',
      { cause },
    )
  } finally {
    closeSync(namespace)
  }
}

import { closeSync, mkdirSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { unmount } from './libc.ts'
import { cloneMount, type DetachedMount } from './mount-api.ts'
import { isMounted, type OverlayLayers } from './overlay.ts'
import { removeMountPoint } from './remove-mount-point.ts'

export interface MappedOverlay {
  readonly layers: OverlayLayers
  readonly target: string
  /** Where the user namespace is pinned by which the ids of the lower layers are mapped. */
  readonly userNamespace: string
  /** A name for directories that older kernels need meanwhile: `STAGING-0`, `STAGING-1` … */
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
    using copies = mappedCopies(layers.lower, userNamespace)
    const mountFrom = (placeOf: (index: number, fd: number) => string): void => {
      const places = copies.homes.map(({ fd }, index) => placeOf(index, fd))
      const [top = '', ...below] = copies.layers.map(({ home, base }) => join(places[home] ?? '', base))
      mountOverlay({ ...layers, lower: [top, ...below] }, target)
    }
    if (takesDetached) {
      try {
        mountFrom((_, fd) => `/proc/self/fd/${fd}`)
        return
      } catch (error) {
        if (errnoOf(error) !== 'EINVAL') throw error
      }
    }
    await whileAttached(copies.homes, staging, (stages) => mountFrom((index) => stages[index] ?? ''))
    takesDetached = false
  }
}

/** Calls with where the copies are attached meanwhile. */
async function whileAttached(
  copies: readonly DetachedMount[],
  staging: string,
  work: (stages: readonly string[]) => void,
): Promise<void> {
  const stages = copies.map((_, index) => `${staging}-${index}`)
  try {
    for (const [index, stage] of stages.entries()) {
      mkdirSync(stage, { recursive: true, mode: 0o700 })
      copies[index]?.attach(stage)
    }
    work(stages)
  } finally {
    for (const stage of stages) await takeAway(stage)
  }
}

interface MappedCopies extends Disposable {
  readonly homes: readonly DetachedMount[]
  /** Which of `homes` each layer lies in, and as what; '' for the home itself. */
  readonly layers: readonly { readonly home: number; readonly base: string }[]
}

/** Layers that lie in one directory share a copy of it; one that is mounted is a copy of its own. */
function mappedCopies(lower: readonly string[], userNamespace: string): MappedCopies {
  using undo = new DisposableStack()
  const homes = new Map<string, number>()
  const copies: DetachedMount[] = []
  const layers = lower.map((path) => {
    const [directory, base] = isMounted(path) ? [path, ''] : [dirname(path), basename(path)]
    const home = homes.get(directory) ?? copies.push(undo.use(mappedCopy(directory, userNamespace))) - 1
    homes.set(directory, home)
    return { home, base }
  })
  const held = undo.move()
  return { homes: copies, layers, [Symbol.dispose]: () => held.dispose() }
}

async function takeAway(stage: string): Promise<void> {
  await unmount(stage)
  removeMountPoint(stage)
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

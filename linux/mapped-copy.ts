import { closeSync, openSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { cloneMount, type DetachedMount } from './mount-api.ts'

/**
 * Mounts a copy of what is mounted at `source` over `target`, with its ids mapped by a user namespace. What is mounted
 * below `source` is mapped with it, or, where something of it can't be, left as it is: its files are nobody's then.
 * Throws failed-precondition where the file system of `source` can't map ids.
 */
export function mountMappedCopy(source: string, target: string, userNamespace: string): void {
  const namespace = openSync(userNamespace, 'r')
  try {
    using copy = cloneMount(source, true)
    mapIds(copy, source, namespace)
    copy.makeSlave() // A shared one would take what is mounted below its origin along when it is unmounted.
    copy.attach(target)
  } finally {
    closeSync(namespace)
  }
}

function mapIds(copy: DetachedMount, source: string, namespace: number): void {
  try {
    copy.mapIds(namespace, true)
    return
  } catch {
    // Something below it can't be mapped, or it can't itself.
  }
  try {
    copy.mapIds(namespace, false)
  } catch (cause) {
    const why =
      errnoOf(cause) === 'EPERM' ? 'its ids are mapped already' : 'its file system does not support that'
    throw new CriError(
      'failed-precondition',
      `ids of ${source} can't be mapped for a user namespace (${why}): ` +
        'use a volume on another file system (ext4, xfs, btrfs, tmpfs …), or leave the mappings out',
      { cause },
    )
  }
}

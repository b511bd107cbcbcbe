import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { mountErofs } from '#linux/erofs.ts'
import { measureVerity } from '#linux/fs-verity.ts'
import { unmount } from '#linux/libc.ts'
import { namesIn } from '#linux/names-in.ts'
import { isMounted } from '#linux/overlay.ts'
import { removeMountPoint } from '#linux/remove-mount-point.ts'
import type { ImageRecords, StoredLayer } from './image-records.ts'

export interface LayerMountsOptions {
  /** Where layers are mounted: it does not survive a reboot, the mounts survive the daemon. */
  readonly directory: string
  readonly records: Pick<ImageRecords, 'layersOfRootfs'>
  readonly log: Log
}

/**
 * Layers in the format `erofs` are mounted once each, for as long as root file systems or image volumes consist of them:
 *
 *   DIRECTORY/1a-0   layer 1a      DIRECTORY/1a-1   the same, mounted again while 1a-0 was being unmounted
 */
export class LayerMounts {
  readonly #options: LayerMountsOptions
  readonly #places = new Map<number, string>()
  readonly #held = new Map<number, number>()
  readonly #running = new Set<Promise<void>>()
  #count = 0

  /** Takes over what an earlier daemon has left mounted, and unmounts what nothing uses. */
  constructor(options: LayerMountsOptions) {
    this.#options = options
    const { directory, records } = options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const used = records.layersOfRootfs()
    for (const name of namesIn(directory)) {
      const [number = '', count = ''] = name.split('-')
      const layer = Number.parseInt(number, 36)
      this.#count = Math.max(this.#count, (Number(count) || 0) + 1)
      const isWanted = used.has(layer) && !this.#places.has(layer) && isMounted(join(directory, name))
      if (isWanted) this.#places.set(layer, join(directory, name))
      else this.#unmount(join(directory, name))
    }
  }

  /** Where the files of a layer, which lies in `file`, are seen; it stays while a record of a root file system names it. */
  directory(layer: StoredLayer, file: string): string {
    const known = this.#places.get(layer.number)
    if (known !== undefined) return known
    const place = join(this.#options.directory, `${layer.number.toString(36)}-${this.#count}`)
    this.#count += 1
    mkdirSync(place, { mode: 0o700 })
    try {
      mountVerified(layer, file, place)
    } catch (error) {
      removeMountPoint(place)
      throw error
    }
    this.#places.set(layer.number, place)
    return place
  }

  /** Where the files of a blob that is no layer yet are seen, until it is disposed. */
  temporary(file: string): Disposable & { readonly path: string } {
    const path = join(this.#options.directory, `.new-${this.#count}`)
    this.#count += 1
    mkdirSync(path, { mode: 0o700 })
    try {
      mountErofs(file, path)
    } catch (error) {
      removeMountPoint(path)
      throw error
    }
    return { path, [Symbol.dispose]: () => this.#unmount(path) }
  }

  /** Until it is disposed the layer stays, whatever the records say. */
  hold(layerNumber: number): Disposable {
    this.#held.set(layerNumber, (this.#held.get(layerNumber) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        const left = (this.#held.get(layerNumber) ?? 1) - 1
        if (left > 0) this.#held.set(layerNumber, left)
        else this.#held.delete(layerNumber)
        this.trim()
      },
    }
  }

  /** Unmounts in the background what nothing uses any more. */
  trim(): void {
    if (this.#places.size === 0) return
    const used = this.#options.records.layersOfRootfs()
    for (const [number, place] of this.#places) {
      if (used.has(number) || this.#held.has(number)) continue
      this.#places.delete(number)
      this.#unmount(place)
    }
  }

  /** Resolves when all that was to be unmounted is. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #unmount(place: string): void {
    const running: Promise<void> = unmount(place)
      .then(() => removeMountPoint(place))
      .catch((error: unknown) => {
        const fields = { path: place, error: describeError(error) }
        this.#options.log.warn(fields, 'a layer was not unmounted: the next start tries again')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

function mountVerified({ diffId, verity }: StoredLayer, file: string, place: string): void {
  const fd = openSync(file, 'r')
  try {
    const found = verity === undefined ? undefined : measureVerity(fd)
    if (found !== verity) {
      throw new CriError(
        'failed-precondition',
        `layer ${diffId}: ${file} has the fs-verity digest ${found ?? 'of none'}, it was stored with ${verity}: somebody has changed it; remove its images and pull them again`,
      )
    }
    // The very file that was measured.
    mountErofs(`/proc/self/fd/${fd}`, place)
  } catch (cause) {
    if (cause instanceof CriError) throw cause
    throw new CriError('failed-precondition', `layer ${diffId}: ${file} cannot be mounted as EROFS`, {
      cause,
    })
  } finally {
    closeSync(fd)
  }
}

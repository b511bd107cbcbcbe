import { closeSync, openSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { MS_NODEV, MS_NOSUID, MS_RDONLY, mount } from './libc.ts'

/** Directories of one overlay. */
export interface OverlayLayers {
  /** Read-only, top first, at least one; all in one directory. */
  readonly lower: readonly [string, ...string[]]
  readonly upper: string
  /** Empty, beside `upper` on its file system. */
  readonly work: string
  /** What SELinux is to see on all its files. */
  readonly selinuxLabel?: string | undefined
}
type ReadonlyLayers = Pick<OverlayLayers, 'lower' | 'selinuxLabel'>

/** What mount(2) takes of options: a page with its end. */
const OPTIONS_LIMIT_BYTES = 4095

/**
 * Mounts overlays. The writable layer is `volatile` where the kernel can (5.10): nothing of it is synced, since
 * containers don't survive a power loss. What a layer could use to point elsewhere is off.
 */
export function overlayMounter(): (layers: OverlayLayers, target: string) => void {
  let volatileOption = ['volatile']
  return (layers, target) => {
    try {
      mountOverlay(layers, target, volatileOption)
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL' || volatileOption.length === 0) throw error
      mountOverlay(layers, target, [])
      volatileOption = []
    }
  }
}

/** Mounts directories over each other, top first, at least two: nobody can write there, and it holds no devices. */
export function mountReadonlyOverlay(lower: readonly string[], target: string, selinuxLabel?: string): void {
  const [top = '', ...below] = lower
  mountOverlay({ lower: [top, ...below], selinuxLabel }, target, [], MS_RDONLY | MS_NOSUID | MS_NODEV)
}

/** True when `path` is a directory that something is mounted on. */
export function isMounted(path: string): boolean {
  const own = statSync(path, { throwIfNoEntry: false })
  return own !== undefined && own.dev !== statSync(dirname(path)).dev
}

function mountOverlay(
  layers: OverlayLayers | ReadonlyLayers,
  target: string,
  extra: readonly string[],
  flags = 0,
): void {
  const options = overlayOptions(layers, layers.lower, extra)
  if (Buffer.byteLength(options) <= OPTIONS_LIMIT_BYTES) {
    mount('overlay', target, 'overlay', flags, options)
    return
  }
  // The kernel resolves the paths during the call: a short name for their directory will do.
  const fd = openSync(dirname(layers.lower[0]), 'r')
  try {
    const short = layers.lower.map((path) => join('/proc/self/fd', `${fd}`, basename(path)))
    const shortest = overlayOptions(layers, short, extra)
    if (Buffer.byteLength(shortest) > OPTIONS_LIMIT_BYTES) throw tooManyLayers(layers, target, shortest)
    mount('overlay', target, 'overlay', flags, shortest)
  } finally {
    closeSync(fd)
  }
}

const tooManyLayers = ({ lower }: ReadonlyLayers, target: string, options: string): CriError =>
  new CriError(
    'failed-precondition',
    `mount overlay on ${target}: ${lower.length} layers are too many: their names take ${Buffer.byteLength(options)} bytes, ` +
      `and mount(2) takes ${OPTIONS_LIMIT_BYTES}: build the image with fewer layers`,
  )

export function overlayOptions(
  layers: OverlayLayers | ReadonlyLayers,
  lower: readonly string[],
  extra: readonly string[],
): string {
  return [
    `lowerdir=${lower.map(escaped).join(':')}`,
    ...('upper' in layers ? [`upperdir=${escaped(layers.upper)}`, `workdir=${escaped(layers.work)}`] : []),
    'index=off',
    'metacopy=off',
    'redirect_dir=nofollow',
    // In quotes, for the commas between its categories.
    ...(layers.selinuxLabel === undefined ? [] : [`context="${layers.selinuxLabel}"`]),
    ...extra,
  ].join(',')
}

/** Colons part lower directories, commas options. */
const escaped = (path: string): string => path.replaceAll(/[\\:,]/g, '\\$&')

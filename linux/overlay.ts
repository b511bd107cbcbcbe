import { closeSync, constants, openSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { MS_NODEV, MS_NOSUID, MS_RDONLY, mount } from './libc.ts'
import { openFilesystem } from './mount-api.ts'

/** Directories of one overlay. */
export interface OverlayLayers {
  /** Read-only, top first, at least one. */
  readonly lower: readonly [string, ...string[]]
  readonly upper: string
  /** Empty, beside `upper` on its file system. */
  readonly work: string
  /** What SELinux is to see on all its files. */
  readonly selinuxLabel?: string | undefined
}
type ReadonlyLayers = Pick<OverlayLayers, 'lower' | 'selinuxLabel'>

/** How the kernel is told the layers: one by one (fsconfig's `lowerdir+`, Linux 6.5), or as a string of mount(2). */
export type OverlayCall = 'fsconfig' | 'mount'

/** What mount(2) takes of options: a page with its end. */
const OPTIONS_LIMIT_BYTES = 4095
/** What fsconfig(2) takes of one value, without its end. */
const VALUE_LIMIT_BYTES = 255
const O_PATH = 0o10000000

/**
 * Mounts overlays. The writable layer is `volatile` where the kernel can (5.10): nothing of it is synced, since
 * containers don't survive a power loss. What a layer could use to point elsewhere is off.
 */
export function overlayMounter(call?: OverlayCall): (layers: OverlayLayers, target: string) => void {
  let volatileOption = ['volatile']
  return (layers, target) => {
    try {
      mountOverlay(layers, target, { extra: volatileOption, call })
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL' || volatileOption.length === 0) throw error
      mountOverlay(layers, target, { extra: [], call })
      volatileOption = []
    }
  }
}

/** Mounts directories over each other, top first, at least two: nobody can write there, and it holds no devices. */
export function mountReadonlyOverlay(lower: readonly string[], target: string, selinuxLabel?: string): void {
  const [top = '', ...below] = lower
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV
  mountOverlay({ lower: [top, ...below], selinuxLabel }, target, { flags })
}

/** True when `path` is a directory that something is mounted on. */
export function isMounted(path: string): boolean {
  const own = statSync(path, { throwIfNoEntry: false })
  return own !== undefined && own.dev !== statSync(dirname(path)).dev
}

interface Details {
  readonly extra?: readonly string[]
  readonly flags?: number
  readonly call?: OverlayCall | undefined
}

function mountOverlay(
  layers: OverlayLayers | ReadonlyLayers,
  target: string,
  { extra = [], flags = 0, call = chooseCall() }: Details,
): void {
  using names = new ShortNames()
  if (call === 'fsconfig') mountByContext(layers, target, { extra, flags, names })
  else mountByString(layers, target, { extra, flags, names })
}

let chosen: OverlayCall | undefined

/** As the kernel can, which is asked once. */
function chooseCall(): OverlayCall {
  chosen ??= takesLayersOneByOne() ? 'fsconfig' : 'mount'
  return chosen
}

function takesLayersOneByOne(): boolean {
  try {
    using context = openFilesystem('overlay')
    context.set('lowerdir+', '/')
    return true
  } catch (error) {
    if (['EINVAL', 'ENOSYS'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
}

type Named = Required<Pick<Details, 'extra' | 'flags'>> & { readonly names: ShortNames }

/** As many layers as overlayfs takes at all, which is 500. */
function mountByContext(
  layers: OverlayLayers | ReadonlyLayers,
  target: string,
  { extra, flags, names }: Named,
): void {
  using context = openFilesystem('overlay')
  // What fits is told as it is, and can be read in /proc/mounts.
  const value = (path: string): string => {
    const isPlain = Buffer.byteLength(path) <= VALUE_LIMIT_BYTES && !/[\\:,]/.test(path)
    return isPlain ? path : names.of(path)
  }
  for (const lower of layers.lower) context.set('lowerdir+', value(lower))
  if ('upper' in layers) {
    context.set('upperdir', value(layers.upper))
    context.set('workdir', value(layers.work))
  }
  for (const [key, setting] of [...CONFINED, ...numbering(layers)]) context.set(key, setting)
  if (layers.selinuxLabel !== undefined) context.set('context', layers.selinuxLabel)
  for (const flag of extra) context.set(flag)
  context.mountOn(target, flags)
}

function mountByString(
  layers: OverlayLayers | ReadonlyLayers,
  target: string,
  { extra, flags, names }: Named,
): void {
  const options = overlayOptions(layers, extra)
  if (Buffer.byteLength(options) <= OPTIONS_LIMIT_BYTES) {
    mount('overlay', target, 'overlay', flags, options)
    return
  }
  const shortest = overlayOptions(shortened(layers, names), extra)
  if (Buffer.byteLength(shortest) > OPTIONS_LIMIT_BYTES) throw tooManyLayers(layers, target, shortest)
  mount('overlay', target, 'overlay', flags, shortest)
}

function shortened<Layers extends OverlayLayers | ReadonlyLayers>(layers: Layers, names: ShortNames): Layers {
  const short = (path: string): string => names.within(dirname(path), basename(path))
  const lower = layers.lower.map(short)
  if (!('upper' in layers)) return { ...layers, lower }
  return { ...layers, lower, upper: short(layers.upper), work: short(layers.work) }
}

const tooManyLayers = ({ lower }: ReadonlyLayers, target: string, options: string): CriError =>
  new CriError(
    'failed-precondition',
    `mount overlay on ${target}: ${lower.length} layers are too many: their names take ${Buffer.byteLength(options)} bytes, ` +
      `and mount(2) takes ${OPTIONS_LIMIT_BYTES}: build the image with fewer layers, or run Linux 6.5 or newer, which takes 500`,
  )

const CONFINED = [
  ['index', 'off'],
  ['metacopy', 'off'],
  ['redirect_dir', 'nofollow'],
] as const

/**
 * Layers of several file systems need it for what one has by itself: all files are on one device for `du -x` and its
 * like, and keep their inode number when they are copied up.
 */
function numbering(layers: OverlayLayers | ReadonlyLayers): readonly (readonly [string, string])[] {
  const directories = 'upper' in layers ? [...layers.lower, layers.upper] : layers.lower
  const devices = new Set(directories.map((path) => statSync(path, { throwIfNoEntry: false })?.dev))
  return devices.size > 1 ? [['xino', 'on']] : []
}

/** As mount(2) takes them. */
export function overlayOptions(layers: OverlayLayers | ReadonlyLayers, extra: readonly string[]): string {
  return [
    `lowerdir=${layers.lower.map(escaped).join(':')}`,
    ...('upper' in layers ? [`upperdir=${escaped(layers.upper)}`, `workdir=${escaped(layers.work)}`] : []),
    ...[...CONFINED, ...numbering(layers)].map(([key, setting]) => `${key}=${setting}`),
    // In quotes, for the commas between its categories.
    ...(layers.selinuxLabel === undefined ? [] : [`context="${layers.selinuxLabel}"`]),
    ...extra,
  ].join(',')
}

/** Colons part lower directories, commas options. */
const escaped = (path: string): string => path.replaceAll(/[\\:,]/g, '\\$&')

/** Names of directories by file descriptors, as long as these are open: the kernel resolves them during its call. */
class ShortNames implements Disposable {
  readonly #fds = new Map<string, number>()

  of(path: string): string {
    const fd = this.#fds.get(path) ?? openSync(path, O_PATH | constants.O_DIRECTORY)
    this.#fds.set(path, fd)
    return `/proc/self/fd/${fd}`
  }

  within(directory: string, base: string): string {
    return `${this.of(directory)}/${base}`
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) closeSync(fd)
  }
}

import { invalidArgument } from '#lib/errors.ts'

/** PATH_MAX: what the kernel takes of a path. */
const NAME_LIMIT_BYTES = 4096

/**
 * The components of a name in a layer, from the layer's root; none for the root itself. A leading slash is the
 * layer's root too. Throws invalid-argument when it climbs out of the layer. Names are bytes in latin1.
 */
export function componentsOf(name: string): readonly string[] {
  if (name.length > NAME_LIMIT_BYTES) throw refused(name, `is longer than ${NAME_LIMIT_BYTES} bytes`)
  if (name.includes('\0')) throw refused(name, 'has a zero byte')
  const components: string[] = []
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue
    if (component !== '..') components.push(component)
    else if (components.pop() === undefined) throw refused(name, 'leads out of the layer')
  }
  return components
}

/** What an entry is by its name (OCI image-spec layer.md, "Whiteouts"). */
export type LayerName =
  | { readonly kind: 'entry'; readonly parent: readonly string[]; readonly base: string }
  | { readonly kind: 'root' }
  /** Takes `base` away from the layers below. */
  | { readonly kind: 'whiteout'; readonly parent: readonly string[]; readonly base: string }
  /** Takes away everything that the layers below have in this directory. */
  | { readonly kind: 'opaque'; readonly directory: readonly string[] }
  /** AUFS's own notes, which mean nothing elsewhere. */
  | { readonly kind: 'ignored' }

export function layerName(name: string): LayerName {
  const components = componentsOf(name)
  const base = components.at(-1)
  if (base === undefined) return { kind: 'root' }
  const parent = components.slice(0, -1)
  if (base === '.wh..wh..opq') return { kind: 'opaque', directory: parent }
  if (components.some((component) => component.startsWith('.wh..wh.'))) return { kind: 'ignored' }
  if (!base.startsWith('.wh.')) return { kind: 'entry', parent, base }
  const hidden = base.slice('.wh.'.length)
  if (hidden === '' || hidden === '.' || hidden === '..') throw refused(name, 'hides no file')
  return { kind: 'whiteout', parent, base: hidden }
}

/** Of a path in a layer; the root's parent is the root. */
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

export const childOf = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`)

const refused = (name: string, why: string): Error =>
  invalidArgument(
    `the name ${JSON.stringify(Buffer.from(name, 'latin1').toString().slice(0, 200))} in the layer ${why}`,
  )

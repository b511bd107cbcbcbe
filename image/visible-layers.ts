import { getExtendedAttribute } from '#linux/libc.ts'

/**
 * The layers that are seen, top first: one that an image has twice at its upper place, none below an opaque root.
 * `paths` has the base first.
 */
export function visibleLayers(paths: readonly string[]): readonly string[] {
  const topFirst = [...new Set(paths.toReversed())]
  const opaque = topFirst.findIndex(
    (path) => getExtendedAttribute(path, 'trusted.overlay.opaque') !== undefined,
  )
  return opaque < 0 ? topFirst : topFirst.slice(0, opaque + 1)
}

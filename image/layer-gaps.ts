/**
 * What an unpacked layer leaves open, since it is unpacked without those below: an image's patch layers fill it in
 * (layer-patch.ts). Paths are relative to the layer, in latin1.
 */
export interface LayerGaps {
  /** Directories that entries only imply: theirs are the attributes that lie below. '' is the root. */
  readonly implied: readonly string[]
  /** Hard links to what only a layer below may have. */
  readonly links: readonly ForeignLink[]
}

/** Of each link in memory, besides its names: in the thread that unpacks, then in the daemon. */
export const LINK_COST_BYTES = 400

export interface ForeignLink {
  readonly path: string
  /** As the entry names it, from the root of the image. */
  readonly target: string
}

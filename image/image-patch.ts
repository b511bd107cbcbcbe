import type { LayerGaps } from './layer-gaps.ts'
import { patchLayer } from './layer-patch.ts'
import { LayersView } from './layers-view.ts'

/** A layer of an image, with the patch that lies on it or is to be made for it. Paths are in latin1. */
export interface StackedLayer {
  readonly directory: string
  /** Its patch, which is here already. */
  readonly patch?: string
  /** What is to be looked at, and where a patch would go. */
  readonly open?: { readonly gaps: LayerGaps; readonly target: string }
}

/** A patch that was made for the layer at `position`, with its directories. */
export interface MadePatch {
  readonly position: number
  readonly directories: number
}

/** Makes the patches that an image needs, base first, since each layer is looked at as it lies on those below. */
export function patchImage(layers: readonly StackedLayer[]): readonly MadePatch[] {
  const below: string[] = []
  return layers.flatMap(({ directory, patch, open }, position) => {
    const directories =
      open === undefined ? 0 : patchLayer(new LayersView(below), { layer: directory, ...open })
    const lying = patch ?? (directories > 0 ? open?.target : undefined)
    below.unshift(...(lying === undefined ? [directory] : [lying, directory]))
    return directories > 0 ? [{ position, directories }] : []
  })
}

import type { LayerGaps } from './layer-gaps.ts'
import { patchLayer } from './layer-patch.ts'
import { PatchBudget } from './patch-budget.ts'

/** A layer of an image, with the patch that lies on it or is to be made for it. Paths are in latin1. */
export interface StackedLayer {
  readonly diffId: string
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

/**
 * Makes the patches that an image needs, base first, since each layer is looked at as it lies on those below. Throws
 * cancelled, and invalid-argument where that takes too long: see PatchBudget.
 */
export function patchImage(
  layers: readonly StackedLayer[],
  isCancelled: () => boolean,
): readonly MadePatch[] {
  const budget = new PatchBudget(isCancelled)
  const below: string[] = []
  return layers.flatMap(({ diffId, directory, patch, open }, position) => {
    budget.layer = diffId
    const directories =
      open === undefined ? 0 : patchLayer({ below: [...below], layer: directory, ...open }, budget)
    const lying = patch ?? (directories > 0 ? open?.target : undefined)
    below.unshift(...(lying === undefined ? [directory] : [lying, directory]))
    return directories > 0 ? [{ position, directories }] : []
  })
}

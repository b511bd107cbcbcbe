import type { AdditionalStores } from './additional-stores.ts'
import type { ImageRecords } from './image-records.ts'
import type { LayerFormat } from './layer-format.ts'
import type { LayerMounts } from './layer-mounts.ts'
import type { LayerSlots } from './layer-slots.ts'
import type { Trash } from './trash.ts'
import type { UntarLimits } from './untar-messages.ts'
import type { UntarPool } from './untar-pool.ts'

export interface LayerStoreOptions {
  /** The image root: each layer is a directory in its `layers`, or a file. */
  readonly root: string
  readonly records: ImageRecords
  readonly pool: Pick<UntarPool, 'untar' | 'patch'>
  readonly additional: Pick<AdditionalStores, 'layer'>
  readonly trash: Trash
  /** One is taken for each layer that is fetched. */
  readonly slots: LayerSlots
  readonly limits: UntarLimits
  /** Of layers that come from now on. */
  readonly format: LayerFormat
  readonly mounts: LayerMounts
  /** Called before each step of a commit, by name: for tests that stop there. */
  readonly atStep: (step: string) => void
}

/** A layer that stays here until it is released, or for good if an image with it was committed before. */
export interface LayerClaim {
  readonly compressedBytes: number
  release(): Promise<void>
}

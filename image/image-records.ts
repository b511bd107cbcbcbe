import type { LayerFormat } from './layer-format.ts'
import type { LayerGaps } from './layer-gaps.ts'
import type { SignatureRecords } from './signature-records.ts'

/**
 * What is written down of images, layers and root file systems. Each call is one transaction, on the disk when it
 * returns. Synchronous: a decision ("nobody uses this layer") and its record can't be parted by anything else.
 * Who uses a layer is derived from the records of images and root file systems, never counted in a second place.
 */
export interface ImageRecords extends SignatureRecords, Disposable {
  /** Random, made with the store: it stays when that is moved. */
  readonly storeId: string
  images(): readonly StoredImage[]
  /** Stores the image with layers that came with it, and moves its names here from other images. */
  putImage(image: StoredImage, newLayers: readonly StoredLayer[]): void
  addNames(imageId: string, names: ImageNames): void
  removeImage(imageId: string): void

  layers(): readonly StoredLayer[]
  layer(diffId: string): StoredLayer | undefined
  layerByNumber(layerNumber: number): StoredLayer | undefined
  /** What the layer leaves open; undefined where nothing is known. */
  layerGaps(layerNumber: number): LayerGaps | undefined
  /** A number that no layer has had. */
  nextLayerNumber(): number
  /** Forgets the layers that neither an image nor a root file system uses, but for `kept` diff ids; answers their numbers. */
  dropUnusedLayers(kept: ReadonlySet<string>): readonly number[]
  /** Forgets a layer that is lost with the images that need it; answers their ids. */
  dropLostLayer(layerNumber: number): readonly string[]

  /** The layers of a container's root file system (by its id) or image volume (by `ID/INDEX`), base first. */
  rootfs(containerId: string): readonly LayerPlace[] | undefined
  /** `diffIds`: base first. Stores layers that no record knew with it. */
  putRootfs(containerId: string, diffIds: readonly string[], newLayers: readonly StoredLayer[]): void
  removeRootfs(containerId: string): void
  rootfsIds(): readonly string[]
  /** What the database itself finds wrong with its file, a sentence each. */
  damage(): readonly string[]
  /** The numbers of all layers that root file systems and image volumes consist of. */
  layersOfRootfs(): ReadonlySet<number>
}

export interface ImageNames {
  readonly tags: readonly string[]
  readonly digests: readonly string[]
}

export interface StoredImage extends ImageNames {
  readonly id: string
  /** The config blob as it came. */
  readonly config: Buffer
  readonly manifestDigest: string | undefined
  readonly sizeBytes: number
  readonly pulledAtNs: string
  /** Base first. */
  readonly diffIds: readonly string[]
  /** The same with the names of patch layers between them; undefined: without any. */
  readonly stack?: readonly string[]
}

/** Before the diff id of what is no layer of any image, but was made to lie between some: see image-patches.ts. */
export const PATCH_PREFIX = 'patch:'
/** So begins the name, in the place of a diff id, of a layer that a blob of an artifact became: see artifact-layers.ts. */
export const ARTIFACT_PREFIX = 'artifact:'

/** Where a layer lies. */
export interface LayerPlace {
  /** Names its directory, in base 36: overlayfs's options have to be short. */
  readonly number: number
  /** In an additional store, which is not ours to change; undefined: in our own. */
  readonly directory?: string | undefined
}

export interface StoredLayer extends LayerPlace {
  readonly diffId: string
  /** As it was fetched. */
  readonly compressedBytes: number
  readonly usedBytes: number
  readonly usedInodes: number
  readonly format: LayerFormat
  /** The fs-verity digest that its file was given, `sha256:…`; undefined where the file system has none. */
  readonly verity: string | undefined
  /** For the record, and of a foreign store's layers; of our own it is read by `layerGaps` alone. */
  readonly gaps?: LayerGaps | undefined
}

/** What can be read of a store that belongs to somebody else; its layers come with their gaps. */
export type ForeignImageRecords = Pick<ImageRecords, 'images' | 'layers' | 'signatures'> & Disposable

import type { ImageConfig } from '#runtime/ports.ts'
import type { LayerForm } from './artifact-layers.ts'
import type { Platform } from './platform.ts'

/**
 * Between who brings images (a registry, an archive) and who keeps them (image-store.ts).
 * An image as it can be had: nothing of it is read before the store asks.
 */
export interface ImageSource {
  /** The config blob, byte for byte, or an artifact's manifest: its sha256 is the image's id. */
  readonly config: Buffer
  /** Of the manifest that was chosen for this platform; undefined where there is none (a docker archive). */
  readonly manifestDigest: string | undefined
  /** Base first, as many as the config's `rootfs.diff_ids`. */
  readonly layers: readonly LayerSource[]
  /** Full names: `docker.io/library/busybox:1.36`. They move here from whichever image had them. */
  readonly tags: readonly string[]
  /** `docker.io/library/busybox@sha256:…` */
  readonly digests: readonly string[]
}

/** One layer as it can be had. */
export interface LayerSource {
  /** Of the bytes that `open` yields: `sha256:` and 64 digits. The store verifies it. */
  readonly digest: string
  readonly mediaType: string
  /** Of the uncompressed tar, from the config. The store verifies it, but for the layers of an artifact. */
  readonly diffId: string
  /** Of an artifact's: see artifact-layers.ts. */
  readonly form?: LayerForm
  /** Of the bytes that `open` yields; undefined where nobody says. */
  readonly sizeBytes: number | undefined
  /**
   * The layer's bytes from their beginning; may be called again after a failure. Each chunk's memory belongs to who
   * takes it.
   */
  open(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** Called when the store has it, opened or not. */
  arrived?(): void
}

/** An image that is here, whole. */
export interface ImageRecord {
  /** `sha256:` and 64 digits: the digest of its config. */
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  /** Of the compressed layers and the config, as containerd counts. */
  readonly sizeBytes: number
  readonly config: ImageConfig
  /** Of an OCI artifact, which is mounted and never run; undefined for an image. */
  readonly artifactType?: string | undefined
  /** What it is built for, as its config says. */
  readonly platform: Platform
  readonly manifestDigest: string | undefined
  /** Base first. */
  readonly diffIds: readonly string[]
  /** See StoredImage. */
  readonly stack?: readonly string[]
  /** Nanoseconds since 1970, in decimal: when it came here first. */
  readonly pulledAtNs: string
  /** Kubelet's garbage collection leaves it alone. */
  readonly pinned: boolean
  /** The root of the additional store that it lies in; undefined: in our own. */
  readonly store?: string | undefined
}

export interface ImageStore {
  /**
   * Brings the image here, or throws and leaves nothing; answers its id. Layers that are here are not opened, one
   * that two calls want is opened once. An image that is here already gets the tags and digests.
   */
  add(source: ImageSource, signal: AbortSignal): Promise<string>
  /**
   * By `sha256:` id, by its 64 digits or a unique prefix of at least 3, by full tag name, by digest name.
   * Names are compared as they are: the caller makes `docker.io/library/busybox:latest` of `busybox`.
   */
  find(reference: string): ImageRecord | undefined
  /** The full names under which an image may be here that was pulled by `reference`. Throws invalid-argument. */
  localNames(reference: string): readonly string[]
  list(): readonly ImageRecord[]
  /** See ImageSource.config; undefined for an id that is not here. */
  configOf(id: string): Buffer | undefined
  /**
   * Removes what `find` finds, with all its names; succeeds when there is nothing. Throws failed-precondition for one of
   * an additional store.
   */
  remove(reference: string): Promise<void>
  /**
   * Resolves at once where the disk has room; where it runs low, when the files of what was removed until now are
   * deleted, or after 10 s.
   */
  freed(): Promise<void>
  usage(): Promise<ImageStoreUsage>
}

/** What images, and what containers write, take. */
export interface ImageStoreUsage {
  readonly images: ImageFilesystemUsage
  /** Where both lie on one file system, the same as `images`: what they take together. */
  readonly containers: ImageFilesystemUsage
}

export interface ImageFilesystemUsage {
  /** The directory that they lie in. */
  readonly path: string
  readonly usedBytes: number
  readonly usedInodes: number
}

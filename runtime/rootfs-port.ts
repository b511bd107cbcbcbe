import type { LocalImage, PodUserNamespace } from './ports.ts'
import type { WrittenUsage } from './usage-port.ts'

export interface RootfsRequest {
  /** A directory with what it is to have written already, in overlayfs's form; it is taken over. */
  readonly written?: string | undefined
  /** The pod's: the ids of the image's files are mapped by it, and what is written belongs to ids of its own. */
  readonly userNamespace?: PodUserNamespace | undefined
  /** What all files in it are labelled as; undefined where SELinux is off. */
  readonly selinuxLabel?: string | undefined
}

/** What an image is wanted for: it may be refused for one and not for another. */
export interface ImageUse {
  /** Of the pod. */
  readonly namespace: string
  /** As the pod says it; '' where nobody does. */
  readonly userSpecifiedImage: string
  readonly as: 'root' | 'volume'
}

/** Images as containers see them. */
export interface ImageRootfs {
  /** The local image of a reference (id, digest or name). Throws not-found, saying to pull it; unverified by policy. */
  resolve(reference: string, use: ImageUse): Promise<LocalImage>
  /** Mounts a writable root file system of the image for the container, and answers its path. */
  mount(containerId: string, imageId: string, request?: RootfsRequest): Promise<string>
  /** Keeps what the container wrote. */
  unmount(containerId: string): Promise<void>
  /** Unmounts it and deletes what the container wrote. */
  remove(containerId: string): Promise<void>
  /** What the container wrote, as it was measured last; asking sees to it that it is measured again. */
  written(containerId: string): WrittenUsage | undefined
  /** Makes the container's `index`th directory, with what its image has at the path; it goes with `remove`. */
  makeVolume(containerId: string, index: number, path: string): Promise<string>
  /** The containers that something of a root file system is left of. */
  leftovers(): readonly string[]
  /** A file of the mounted root file system with links kept inside; undefined when there is none. At most 1 MiB. */
  readFile(containerId: string, path: string): Promise<string | undefined>
}

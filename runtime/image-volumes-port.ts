export interface ImageVolumeRequest {
  /** The which of the container's it is. */
  readonly index: number
  readonly imageId: string
  /** A directory in the image; '' is its root. */
  readonly subPath: string
  /** Where the user namespace is pinned that its files' ids are mapped by, if they are. */
  readonly userNamespace?: string | undefined
  /** What its files are labelled as; undefined where SELinux is off. */
  readonly selinuxLabel?: string | undefined
}

/** Images that containers mount as volumes: read-only, their layers kept while they are mounted. */
export interface ImageVolumes {
  /** Answers the host path of the mounted image's directory; throws not-found where the image has none. */
  mount(containerId: string, request: ImageVolumeRequest): Promise<string>
  /** Unmounts all of the container's. */
  remove(containerId: string): Promise<void>
  /** The containers that something of an image volume is left of. */
  leftovers(): readonly string[]
}

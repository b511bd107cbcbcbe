/** Where an OCI runtime writes the state of a container's processes, and its own log of that. */
export interface CheckpointDirectories {
  /** For CRIU's images. */
  readonly images: string
  readonly work: string
}

/** What an archive says beside CRIU's images: config.dump and spec.dump. */
export interface CheckpointDescription {
  readonly containerId: string
  readonly containerName: string
  readonly handler: string
  /** The image that it ran from: its id, then names that it may be known by elsewhere. */
  readonly images: readonly string[]
  /** Nanoseconds since 1970, in decimal. */
  readonly createdAtNs: string
  readonly checkpointedAtNs: string
  /** config.json as it ran. */
  readonly ociSpec: object
}

/** A checkpoint laid out on this host, for a container that is to go on from it. */
export interface OpenedCheckpoint {
  readonly imagesDirectory: string
  /** What the container had written, in overlayfs's form. */
  readonly upperDirectory: string
  /** The image that it ran from, most exact first. */
  readonly images: readonly string[]
  /** Where it had files or directories of its host mounted. */
  readonly bindDestinations: readonly string[]
}

/**
 * Archives of containers' states: a tar with config.dump, spec.dump, checkpoint/ (CRIU's images), rootfs-diff.tar and
 * deleted.files, as CRI-O writes them and checkpointctl reads them. What is laid out on the way is there by the id of
 * a container; `remove` takes it away, and so does the next start of the daemon.
 */
export interface CheckpointArchives {
  /** An empty place for a container's state. */
  prepare(containerId: string): Promise<CheckpointDirectories>
  /**
   * Makes the archive of what lies there and of what the container has written: at `location`, all of it or nothing.
   * It begins no further step once the signal aborts; what runs then, ObjectLocks.kill ends.
   */
  pack(
    containerId: string,
    description: CheckpointDescription,
    location: string,
    signal: AbortSignal,
  ): Promise<void>
  /** Whether the reference is an absolute path, or of a local image that was made of an archive. */
  isCheckpoint(reference: string): boolean
  /** Lays it out for a new container; throws invalid-argument for what is no archive. */
  open(containerId: string, reference: string): Promise<OpenedCheckpoint>
  remove(containerId: string): Promise<void>
}

/** How this node wants the mounts of its containers to be: the table [runtime.mounts] of the configuration file. */
export interface MountSettings {
  /** Of a pod's /dev/shm, where no annotation says another size. */
  readonly shmSizeBytes: number
  /** What becomes of the VOLUMEs of an image. */
  readonly imageVolumes: 'copy' | 'tmpfs' | 'ignore'
  /** These host paths and what is below them are not made where a mount asks for them and they are missing. */
  readonly absentSourcesToReject: readonly string[]
  /** Of every container that mounts nothing else there. */
  readonly defaults: readonly DefaultMount[]
}

export interface DefaultMount {
  /** A path of the host; '' for a tmpfs. */
  readonly source: string
  readonly destination: string
  readonly type: 'bind' | 'tmpfs'
  readonly options: readonly string[]
}

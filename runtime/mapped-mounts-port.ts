import type { IdMappings } from '#lib/id-mappings.ts'
import type { MountSource } from './ports.ts'

/**
 * What is mounted on the host, seen through mapped ids: copies of mounts for the OCI runtime to bind from. They are
 * needed until it has: what is left mounted would keep the file system in use.
 */
export interface MappedMounts {
  /**
   * Makes a copy of what is mounted at `source`, and answers its path. `userNamespace`: where a namespace of these
   * mappings is pinned, if one is. Throws failed-precondition where the file system can't map ids.
   */
  mount(request: MappedMountRequest): Promise<string>
  remove(containerId: string): Promise<void>
  /** The containers that something is left of. */
  leftovers(): readonly string[]
}

export interface MappedMountRequest {
  readonly containerId: string
  /** What the copy is called: one of the container's has it. */
  readonly name: string
  readonly source: MountSource
  readonly mappings: IdMappings
  readonly userNamespace: string | undefined
}

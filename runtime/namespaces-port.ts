import type { IdMappings } from '#lib/id-mappings.ts'
import type { StringMap } from './pod-sandbox/record.ts'

/** Where a pod's namespaces are pinned; undefined where it uses the host's. */
export interface NamespacePaths {
  readonly network: string | undefined
  readonly ipc: string | undefined
  readonly uts: string | undefined
  readonly user: string | undefined
}

export interface NewNamespaces extends NamespacePaths {
  /** Those `net.*` that name what is not there yet, such as an interface: for `setSysctls`. */
  readonly missingSysctls: StringMap
}

export interface NamespaceRequest {
  readonly network: boolean
  readonly ipc: boolean
  readonly uts: boolean
  /** With these ids a user namespace, which the others belong to; undefined for none. */
  readonly user?: IdMappings | undefined
  readonly hostname: string
  /** `net.*`, `kernel.shm*` …: written inside the new namespaces. */
  readonly sysctls: StringMap
}

export interface Namespaces {
  /** Makes and pins them; loopback is up. */
  create(sandboxId: string, request: NamespaceRequest): Promise<NewNamespaces>
  /** Writes them in the network namespace; throws invalid-argument by name for what is still not there. */
  setSysctls(sandboxId: string, sysctls: StringMap): Promise<void>
  /** Where they are pinned; a path that is no longer a namespace (a reboot) is undefined. */
  find(sandboxId: string): Promise<NamespacePaths>
  remove(sandboxId: string): Promise<void>
  /** The sandboxes that namespaces are left of. */
  leftovers(): readonly string[]
}

import type { NetworkStatus } from '#runtime/ports.ts'

/** What the daemon can say of itself and its host; main makes it. */
export interface RuntimeStatus {
  /** Of the daemon, in semantic versioning. */
  readonly version: string
  readonly cgroupDriver: 'systemd' | 'cgroupfs'
  /** Whether a container that needs no pod network could run now; reason in CamelCase, message for people. */
  runtime(): { readonly ready: boolean; readonly reason: string; readonly message: string }
  network(): Promise<NetworkStatus>
  /** All that may be asked for; exactly one is the default. */
  handlers(): readonly HandlerStatus[]
  /** What helps to find a fault, as JSON can hold it. */
  info(): { readonly [topic: string]: object }
}

export interface HandlerStatus {
  readonly name: string
  readonly isDefault: boolean
  /** As the handler's `features` command reports them. */
  readonly recursiveReadOnlyMounts: boolean
  readonly userNamespaces: boolean
}

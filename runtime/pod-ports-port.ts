import type { Duplex } from 'node:stream'

/** A TCP connection, whose halves are ended one by one. */
export interface PodConnection extends Duplex {
  /** Ends it as a failure: its peer gets a reset. */
  resetAndDestroy(): unknown
}

/** What listens inside pods. */
export interface PodPorts {
  /**
   * Connects to a port of the loopback addresses (IPv4, then IPv6) of a network namespace; undefined is the host's.
   * Throws unavailable where nobody listens.
   */
  connect(netnsPath: string | undefined, port: number): Promise<PodConnection>
}

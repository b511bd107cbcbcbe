import type { AttachConnection } from './attach-thread.ts'

/**
 * Connections whose clients have gone, but whose end would end the input of their containers. The next client takes one
 * over: so there are never more than there have been clients at once.
 */
export class KeptConnections {
  readonly #byContainer = new Map<string, Set<AttachConnection>>()

  add(id: string, connection: AttachConnection): void {
    const ofContainer = this.#byContainer.get(id) ?? new Set()
    this.#byContainer.set(id, ofContainer.add(connection))
    connection.mute(() => this.#remove(id, connection))
  }

  /** For its listener to be set anew. */
  take(id: string): AttachConnection | undefined {
    for (const connection of this.#byContainer.get(id) ?? []) {
      this.#remove(id, connection)
      return connection
    }
    return undefined
  }

  #remove(id: string, connection: AttachConnection): void {
    const ofContainer = this.#byContainer.get(id)
    ofContainer?.delete(connection)
    if (ofContainer?.size === 0) this.#byContainer.delete(id)
  }
}

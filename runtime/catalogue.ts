import { resolveId } from '#lib/ids.ts'
import type { Records } from './ports.ts'

/** The records of one kind in memory. A change is written first: what is answered here survives a crash. */
export class Catalogue<Item extends { readonly id: string; readonly state: { readonly phase: string } }> {
  readonly #items = new Map<string, Item>()
  readonly #records: Records<Item>
  readonly #what: string

  constructor(what: string, records: Records<Item>) {
    this.#what = what
    this.#records = records
  }

  async load(): Promise<void> {
    for (const record of await this.#records.all()) this.#items.set(record.id, record)
  }

  async put(record: Item): Promise<void> {
    try {
      await this.#records.put(record)
    } catch (error) {
      // It may have been written all the same: a new one is known, so that it can be removed.
      if (!this.#items.has(record.id)) this.#items.set(record.id, record)
      throw error
    }
    this.#items.set(record.id, record)
  }

  async remove(id: string): Promise<void> {
    await this.#records.remove(id)
    this.#items.delete(id)
  }

  /** By full id, whatever its phase. */
  find(id: string): Item | undefined {
    return this.#items.get(id)
  }

  /** By an id or a unique prefix; what is still being created is not found. */
  get(id: string): Item {
    const listed = this.list()
    const found = resolveId(
      this.#what,
      id,
      listed.map((item) => item.id),
    )
    return this.#items.get(found) as Item
  }

  /** All but those being created: kubelet would take what is listed for made, and its next attempt for a second one. */
  list(): readonly Item[] {
    return [...this.#items.values()].filter(({ state }) => state.phase !== 'creating')
  }

  all(): readonly Item[] {
    return [...this.#items.values()]
  }
}

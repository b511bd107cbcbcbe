import { canonicalJson } from '#lib/canonical-json.ts'
import { CriError } from '#lib/errors.ts'

interface Made {
  readonly id: string
  readonly spec: object
  readonly phase: string
}

/**
 * Makes each object once: kubelet asks again after its deadline, and must get the first answer.
 * A request for a name under creation joins it; one for a name that exists gets its id while it is as it was made.
 */
export class Creations {
  readonly #underWay = new Map<string, { readonly spec: string; readonly done: Promise<string> }>()
  readonly #what: string

  constructor(what: string) {
    this.#what = what
  }

  /** `existing`: what has this name already, if anything; `fresh`: the phases in which that is still the answer. */
  async once(
    name: string,
    spec: object,
    existing: () => Made | undefined,
    fresh: string,
    make: () => Promise<string>,
  ): Promise<string> {
    const text = canonicalJson(spec)
    const joined = this.#underWay.get(name)
    if (joined !== undefined) {
      if (joined.spec === text) return joined.done
      throw this.#exists(name, 'it is being created with another configuration')
    }
    const made = existing()
    if (made !== undefined) {
      if (made.phase !== fresh) throw this.#exists(name, `it is ${made.id} and is ${made.phase}`)
      if (canonicalJson(made.spec) === text) return made.id
      throw this.#exists(name, `it is ${made.id}, ${made.phase}, with another configuration`)
    }
    const done = make()
    this.#underWay.set(name, { spec: text, done })
    try {
      return await done
    } finally {
      this.#underWay.delete(name)
    }
  }

  #exists(name: string, why: string): CriError {
    return new CriError(
      'already-exists',
      `${this.#what} ${name} exists: ${why}; remove it first or ask with a higher attempt`,
    )
  }
}

import { invalidArgument } from '#lib/errors.ts'
import { nearestName } from '#lib/names.ts'

export const MAX_UINT64 = 2n ** 64n - 1n

/** A part of a foreign JSON file, which knows its place there; what it is not is refused as invalid-argument. */
export class JsonValue {
  /** `syscalls[3].action`; '' is the whole file. */
  readonly path: string
  readonly #value: unknown

  private constructor(path: string, value: unknown) {
    this.path = path
    this.#value = value
  }

  static parse(text: string): JsonValue {
    try {
      return new JsonValue('', JSON.parse(text, wholeIntegers))
    } catch (cause) {
      throw invalidArgument('it is not JSON', { cause })
    }
  }

  /** `known` are the keys it may have: one that looks like a slip of these is refused, another is left alone. */
  object(known: readonly string[]) {
    const value = this.#value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#isNot('an object')
    for (const key of Object.keys(value)) {
      const meant = known.includes(key) || key.length < 4 ? undefined : nearestName(key, known)
      if (meant !== undefined) {
        throw invalidArgument(`${this.#key(key)} is not known: did you mean ${meant}?`)
      }
    }
    const fields = new Map<string, unknown>(Object.entries(value))
    const get = (key: string): JsonValue | undefined => {
      const field = fields.get(key)
      return field === undefined || field === null ? undefined : new JsonValue(this.#key(key), field)
    }
    const need = (key: string): JsonValue => {
      const field = get(key)
      if (field === undefined) throw invalidArgument(`${this.#key(key)} is missing`)
      return field
    }
    return { get, need }
  }

  list<Item>(convert: (item: JsonValue) => Item): readonly Item[] {
    if (!Array.isArray(this.#value)) throw this.#isNot('a list')
    return this.#value.map((item: unknown, index) => convert(new JsonValue(`${this.path}[${index}]`, item)))
  }

  text(): string {
    if (typeof this.#value !== 'string') throw this.#isNot('a text')
    return this.#value
  }

  matching(pattern: RegExp, example: string): string {
    if (!pattern.test(this.text())) throw this.#isNot(`one like ${example}`)
    return this.text()
  }

  oneOf<Name extends string>(names: readonly Name[]): Name {
    const found = names.find((name) => name === this.#value)
    if (found === undefined) throw this.#isNot(`one of ${names.join(', ')}`)
    return found
  }

  /** From 0 to `max`, with every digit that the file has. */
  integer(max: bigint | number): bigint {
    if (typeof this.#value !== 'bigint' || this.#value < 0n || this.#value > max) {
      throw this.#isNot(`an integer from 0 to ${max}`)
    }
    return this.#value
  }

  #key(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`
  }

  #isNot(wanted: string): Error {
    const value = typeof this.#value === 'bigint' ? `${this.#value}` : JSON.stringify(this.#value, printable)
    return invalidArgument(`${this.path || 'the whole'} is ${value.slice(0, 80)}: it must be ${wanted}`)
  }
}

/** Integers as bigint: a double holds no more than 53 bits. */
function wholeIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value
  return /^-?\d{1,40}$/.test(context?.source ?? '') ? BigInt(context?.source ?? 0) : value
}

const printable = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value)

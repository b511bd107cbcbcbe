import { invalidArgument } from '#lib/errors.ts'

/** Both ways between our names and the numbers of an enum of the CRI. */
export interface EnumConverter<Name extends string, Value extends number> {
  toWire(name: Name): Value
  /** Throws invalid-argument for a number that the CRI does not have; `field` is what the message calls it. */
  fromWire(value: number, field: string): Name
}

export function convertEnum<Name extends string, Value extends number>(
  values: {
    readonly [Key in Name]: Value
  },
): EnumConverter<Name, Value> {
  const names = new Map<number, Name>(
    Object.entries(values).map(([name, value]) => [Number(value), name as Name]),
  )
  return {
    toWire: (name) => values[name],
    fromWire(value, field) {
      const name = names.get(value)
      if (name === undefined)
        throw invalidArgument(`${field} is ${value}: it may be ${[...names.keys()].join(', ')}`)
      return name
    },
  }
}

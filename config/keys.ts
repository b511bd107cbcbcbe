import { z } from 'zod'
import type { KeyMeta } from './key-meta.ts'
import { configSchema } from './schema.ts'

/** One key of the file: its place, and what its documentation says. */
export interface ConfigKey extends KeyMeta {
  readonly path: readonly string[]
  /** Undefined where it has no fixed one: see `otherwise`. */
  readonly fallback: unknown
}

/** Every key in the schema's order, a table's own keys before its tables; those of a handler once for each name. */
export function configKeys(handlerNames: readonly string[] = ['NAME']): ConfigKey[] {
  return keysOf(configSchema, [], handlerNames)
}

/** The names that are known in a table; undefined where it takes any (handlers) or is no table. */
export function knownNames(path: readonly PropertyKey[]): string[] | undefined {
  const schema = schemaAt(path)
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : undefined
}

/** What the value at a path must be; goes on from "it must be". */
export function allowedAt(path: readonly PropertyKey[]): string {
  for (let length = path.length; length > 0; length -= 1) {
    const allowed = metaOf(schemaAt(path.slice(0, length)))?.allowed
    if (allowed !== undefined) return allowed
    if (length === path.length && knownNames(path) !== undefined) return 'a table'
  }
  return 'a table'
}

function keysOf(schema: z.ZodObject, path: readonly string[], handlerNames: readonly string[]): ConfigKey[] {
  return Object.entries(schema.shape).flatMap(([name, value]) => {
    const here = [...path, name]
    const inner = unwrapped(value as z.ZodType)
    if (inner instanceof z.ZodObject) return keysOf(inner, here, handlerNames)
    if (inner instanceof z.ZodRecord) {
      const item = inner.valueType as z.ZodObject
      return handlerNames.flatMap((handler) => keysOf(item, [...here, handler], handlerNames))
    }
    const meta = metaOf(value as z.ZodType)
    if (meta === undefined) throw new Error(`${here.join('.')} has no documentation in config/schema.ts`)
    return [{ ...meta, path: here, fallback: (value as z.ZodType).parse(undefined) }]
  })
}

function schemaAt(path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.ZodType | undefined = configSchema
  for (const name of path) {
    const inner = unwrapped(schema)
    if (inner instanceof z.ZodObject) schema = inner.shape[String(name)] as z.ZodType | undefined
    else if (inner instanceof z.ZodRecord) schema = inner.valueType as z.ZodType
    else return undefined
    if (schema === undefined) return undefined
  }
  return metaOf(schema) === undefined ? unwrapped(schema) : schema
}

const metaOf = (schema: z.ZodType | undefined): KeyMeta | undefined =>
  schema?.meta() as unknown as KeyMeta | undefined

function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    inner = inner.unwrap() as z.ZodType
  }
  return inner
}

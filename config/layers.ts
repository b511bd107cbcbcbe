import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { CriError, errnoOf, invalidArgument } from '#lib/errors.ts'
import { type KeyPath, lineOfKey } from '#lib/key-lines.ts'

export interface Table {
  readonly [name: string]: unknown
}

/** One source of settings: a file or the command line. A later one goes over those before it. */
export interface Layer {
  readonly table: Table
  /** Where a key stands in it: `FILE:LINE`, or the flag. */
  where(path: KeyPath): string
}

export interface FileLayer extends Layer {
  readonly file: string
}

/** The file, then its drop-ins in lexical order. A missing file is an error only if it was asked for by name. */
export function readLayers(file: string, named: boolean): FileLayer[] {
  const directory = join(dirname(file), 'config.d')
  const dropIns = namesIn(directory)
    .filter((name) => name.endsWith('.toml') && !name.startsWith('.'))
    .sort()
  const layers = dropIns.map((name) => layerOf(join(directory, name)))
  const first = layerOf(file, !named)
  return [first, ...layers].filter((layer) => layer !== undefined)
}

/** Tables are merged key by key, anything else is replaced. */
export function merged(layers: readonly Layer[]): Table {
  return layers.reduce<Table>((below, { table }) => over(below, table), {})
}

/** Where the value of a key comes from; undefined for a default. */
export const originOf = (layers: readonly Layer[], path: KeyPath): string | undefined =>
  layers.findLast(({ table }) => valueAt(table, path) !== undefined)?.where(path)

export function valueAt(table: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    table,
  )
}

function over(below: Table, above: Table): Table {
  const names = Object.entries(above).map(([name, value]): [string, unknown] => {
    const under = Object.hasOwn(below, name) ? below[name] : undefined
    return [name, isTable(value) && isTable(under) ? over(under, value) : value]
  })
  return { ...below, ...Object.fromEntries(names) }
}

const isObject = (value: unknown): value is { readonly [name: PropertyKey]: unknown } =>
  typeof value === 'object' && value !== null

const isTable = (value: unknown): value is Table =>
  isObject(value) && !Array.isArray(value) && !(value instanceof Date)

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw unreadable(directory, error)
  }
}

function layerOf(file: string, optional = false): FileLayer | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
    return { file, table: parsed(file, text), where: (path) => `${file}:${lineOfKey(text, path) ?? 1}` }
  } catch (error) {
    if (optional && errnoOf(error) === 'ENOENT') return undefined
    if (error instanceof CriError) throw error
    if (errnoOf(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw invalidArgument(`${file} is not UTF-8, which TOML must be: save it so`)
    }
    throw unreadable(file, error)
  }
}

function parsed(file: string, text: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [what = ''] = error.message.split('\n')
    throw invalidArgument(
      `${file}:${error.line}:${error.column}: ${what.replace('Invalid TOML document', 'not valid TOML')}`,
    )
  }
}

const unreadable = (path: string, cause: unknown): CriError =>
  new CriError(
    'failed-precondition',
    `the configuration can't be read from ${path}: check that it is there and readable`,
    {
      cause,
    },
  )

import { stringify } from 'smol-toml'
import type { KeyPath } from '#lib/key-lines.ts'
import { type ConfigKey, configKeys } from './keys.ts'
import { valueAt } from './layers.ts'
import { dotted } from './problems.ts'
import type { FileConfig } from './schema.ts'

/** The configuration as TOML, each key under a comment that says what it is and may be. */
export function documentedToml(file: FileConfig): string {
  return rendered(file, (key, pair) => [
    `# ${key.description} Must be ${key.allowed}.`,
    pair ?? `# ${key.path.at(-1)} = # by default ${key.otherwise}`,
    '',
  ])
}

/** The configuration as TOML, each key with a comment that says where its value comes from. */
export function annotatedToml(file: FileConfig, origin: (path: KeyPath) => string | undefined): string {
  return rendered(file, (key, pair) =>
    pair === undefined
      ? [`# ${key.path.at(-1)} = # default: ${key.otherwise}`]
      : [`${pair} # ${origin(key.path) ?? 'default'}`],
  )
}

type Lines = (key: ConfigKey, pair: string | undefined) => readonly string[]

function rendered(file: FileConfig, linesOf: Lines): string {
  const lines: string[] = []
  let table = ''
  for (const key of configKeys(Object.keys(file.runtime.handlers))) {
    const within = dotted(key.path.slice(0, -1))
    if (within !== table) lines.push(...(lines.at(-1) === '' ? [] : ['']), `[${within}]`)
    table = within
    lines.push(...linesOf(key, pairOf(file, key.path)))
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function pairOf(file: FileConfig, path: readonly string[]): string | undefined {
  const value = valueAt(file, path)
  return value === undefined ? undefined : stringify({ [path.at(-1) ?? '']: value }).trimEnd()
}

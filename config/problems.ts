import type { z } from 'zod'
import type { KeyPath } from '#lib/key-lines.ts'
import { nearestName } from '#lib/names.ts'
import { allowedAt, knownNames } from './keys.ts'
import { type Layer, valueAt } from './layers.ts'

/** What is wrong with a layer, a line each: where, which key, what is wrong with it and what is allowed. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], layer: Layer): string[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((name) => unknownKey(issue.path, name, layer))
    }
    if (issue.code === 'invalid_key') return [invalidName(issue.path, layer)]
    const path = issue.path
    return [
      `${layer.where(path)}: ${dotted(path)} is ${shown(valueAt(layer.table, path))}: it must be ${allowedAt(path)}`,
    ]
  })
}

/** A key as it is written in TOML: `runtime.handlers."my runc".path`, `cni.bin_dirs[1]`. */
export function dotted(path: KeyPath): string {
  return path.reduce<string>((before, name) => {
    if (typeof name === 'number') return `${before}[${name}]`
    const spelled = /^[A-Za-z0-9_-]+$/.test(String(name)) ? String(name) : JSON.stringify(String(name))
    return before === '' ? spelled : `${before}.${spelled}`
  }, '')
}

function unknownKey(table: KeyPath, name: string, layer: Layer): string {
  const path = [...table, name]
  const known = knownNames(table) ?? []
  const nearest = nearestName(name, known)
  const remedy =
    nearest === undefined ? `known here: ${known.join(', ')}` : `did you mean ${dotted([...table, nearest])}?`
  return `${layer.where(path)}: unknown key ${dotted(path)}: ${remedy}`
}

function invalidName(path: KeyPath, layer: Layer): string {
  const table = path.slice(0, -1)
  return `${layer.where(path)}: ${dotted(path)} is no name for one of ${dotted(table)}: they must be ${allowedAt(table)}`
}

function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'missing')
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

import { randomBytes } from 'node:crypto'
import { CriError, invalidArgument, notFound } from './errors.ts'

/** 64 hexadecimal digits, the form of containerd's and CRI-O's ids. */
export const newId = (): string => randomBytes(32).toString('hex')

/**
 * The one id that equals or begins with `wanted`. crictl shows the first 13 digits and sends them back.
 * Throws invalid-argument when it is empty or fits several, not-found when it fits none.
 */
export function resolveId(what: string, wanted: string, ids: Iterable<string>): string {
  if (wanted === '') throw invalidArgument(`${what.replaceAll(' ', '_')}_id is empty: name a ${what}`)
  const matches: string[] = []
  for (const id of ids) {
    if (id === wanted) return id
    if (id.startsWith(wanted)) matches.push(id)
  }
  const [match] = matches
  if (match === undefined) throw notFound(what, wanted)
  if (matches.length > 1) {
    throw new CriError(
      'invalid-argument',
      `${what} id ${wanted} is ambiguous, ${matches.length} begin with it: give more of its digits`,
    )
  }
  return match
}

import { z } from 'zod'

/** What a key's documentation and its error messages are made of, beside zod's own `description`. */
export interface KeyMeta {
  /** Goes on from "it must be": with its unit, or the values there are. */
  readonly allowed: string
  readonly description: string
  /** What stands in for the default of a key that has no fixed one. */
  readonly otherwise?: string
}

export const says = (
  description: string,
  allowed: string,
  otherwise?: string,
): KeyMeta & { [name: string]: string } => ({
  description,
  allowed,
  ...(otherwise === undefined ? {} : { otherwise }),
})

/** An absolute path, or a name to be found in PATH. */
export const PROGRAM = /^(?:\/[^\0]*[^/\0]|[^/\0\s]+)$/

export const path = z.string().regex(/^\/[^\0]*$/)

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'

/** A file that lies in a store for as long as a daemon uses it. */
export interface UseMark {
  /** True when the machine went down while the store was in use: by a power loss, or a reset. */
  readonly wasCut: boolean
  /** What that may have damaged was looked for: until then the next start finds the same. */
  checked(): void
  /** After an orderly end. */
  remove(): void
}

/** `bootId`: of this boot of the machine. What a killed daemon wrote is safe with the kernel as long as that runs. */
export function markUse(path: string, bootId: string): UseMark {
  const before = readMark(path)
  const write = (): void => writeFileSync(path, bootId, { flush: true })
  if (before === undefined) write()
  return {
    wasCut: before !== undefined && before !== bootId,
    checked: write,
    remove: () => rmSync(path, { force: true }),
  }
}

function readMark(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

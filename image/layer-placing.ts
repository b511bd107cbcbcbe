import { renameSync } from 'node:fs'
import { isThere } from '#linux/is-there.ts'
import { syncDirectory, syncFilesystem } from '#linux/sync.ts'
import { headersFileOf } from './layer-headers.ts'

/**
 * Gives layers that were written under other names, in `directory`, those that `record` writes down: after their data is
 * on the disk, and all of them or, when it throws, none.
 */
export async function placeLayers(
  directory: string,
  moves: readonly { readonly from: string; readonly to: string }[],
  record: () => void,
  atStep: (step: string) => void,
): Promise<void> {
  atStep('sync')
  if (moves.length > 0) await syncFilesystem(directory)
  const placed: (() => void)[] = []
  try {
    atStep('rename')
    for (const [source, target] of moves.flatMap(({ from, to }) => filesOf(from, to))) {
      renameSync(source, target)
      placed.push(() => renameSync(target, source))
    }
    if (moves.length > 0) await syncDirectory(directory)
    record()
  } catch (error) {
    for (const undo of placed) undo()
    throw error
  }
}

/** What a layer consists of, here and there: one in EROFS's form has its tar in itself, and no headers. */
const filesOf = (from: string, to: string): readonly (readonly [string, string])[] =>
  (
    [
      [headersFileOf(from), headersFileOf(to)],
      [from, to],
    ] as const
  ).filter(([source]) => isThere(source))

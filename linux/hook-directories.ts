import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { HookDirectories, HookFile } from '#runtime/injection-port.ts'
import { parseHookFile } from './hook-file.ts'
import { ParsedDirectories, type ParsedFile } from './parsed-directories.ts'

/**
 * The hooks (*.json) of some directories: one of a later directory goes over one of the same file name in an earlier.
 * A file that cannot be used fails: what the node's owner wants in its containers is not left out unsaid.
 */
export function createHookDirectories(directories: readonly string[]): HookDirectories {
  const parsed = new ParsedDirectories(directories, /\.json$/, parseHookFile)

  return {
    async files() {
      if (directories.length === 0) return []
      const found = await parsed.read()
      const byName = new Map(found.flatMap(({ files }) => files.map((file) => [basename(file.path), file])))
      const files = [...byName.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file)
      const problems = [
        ...found.filter(({ problem }) => problem !== '').map(({ path, problem }) => `${path}: ${problem}`),
        ...(await Promise.all(files.map(problemOf))).filter((problem) => problem !== ''),
      ]
      if (problems.length === 0) return files.flatMap(({ content }) => content ?? [])
      throw new CriError(
        'failed-precondition',
        `no container is created while a file of runtime.hooks_dirs cannot be used: ${problems.join('; ')}: ` +
          'correct it, or take it away',
      )
    },
  }
}

/** '' where there is none. */
async function problemOf({ path, problem, content }: ParsedFile<HookFile>): Promise<string> {
  if (content === undefined) return `${path}: ${problem}`
  const program = content.hook.path
  try {
    const found = await stat(program)
    return found.isFile() ? '' : `${path}: hook.path is ${program}, which is no file`
  } catch (error) {
    return `${path}: hook.path is ${program}, which cannot be looked at (${errnoOf(error)})`
  }
}

import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The absolute path of a program: itself where it is one, else the first of that name in PATH; undefined when there is none. */
export function findProgram(program: string, path = process.env['PATH'] ?? DEFAULT_PATH): string | undefined {
  const candidates = program.startsWith('/') ? [program] : path.split(':').map((each) => join(each, program))
  return candidates.find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

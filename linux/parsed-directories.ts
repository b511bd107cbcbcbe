import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, errnoOf } from '#lib/errors.ts'

const MAX_FILE_BYTES = 4 << 20

export interface ParsedFile<Content> {
  readonly path: string
  /** Undefined where there is a problem. */
  readonly content: Content | undefined
  /** Why it cannot be used; '' when it can. */
  readonly problem: string
}

export interface ParsedDirectory<Content> {
  readonly path: string
  /** In the order of their names; none where it is not there. */
  readonly files: readonly ParsedFile<Content>[]
  readonly problem: string
}

interface Known<Content> {
  /** What of the file would change with its content. */
  readonly version: string
  readonly content: Content
}

/**
 * Files of some directories, looked at anew by each `read` and parsed when they have changed: nothing has to be told,
 * and no change is missed. One that cannot be used is tried again each time.
 */
export class ParsedDirectories<Content> {
  readonly #directories: readonly string[]
  readonly #names: RegExp
  readonly #parse: (text: string, path: string) => Content
  #known = new Map<string, Known<Content>>()

  constructor(directories: readonly string[], names: RegExp, parse: (text: string, path: string) => Content) {
    this.#directories = directories
    this.#names = names
    this.#parse = parse
  }

  async read(): Promise<readonly ParsedDirectory<Content>[]> {
    const known = new Map<string, Known<Content>>()
    const directories = await Promise.all(this.#directories.map((path) => this.#directory(path, known)))
    this.#known = known
    return directories
  }

  async #directory(path: string, known: Map<string, Known<Content>>): Promise<ParsedDirectory<Content>> {
    try {
      const names = (await readdir(path)).filter((name) => this.#names.test(name)).toSorted()
      const files = await Promise.all(names.map((name) => this.#file(join(path, name), known)))
      return { path, files: files.filter((file) => file !== undefined), problem: '' }
    } catch (error) {
      return { path, files: [], problem: errnoOf(error) === 'ENOENT' ? '' : describeError(error) }
    }
  }

  /** Undefined for one that is gone by now. */
  async #file(path: string, known: Map<string, Known<Content>>): Promise<ParsedFile<Content> | undefined> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
      const version = [ino, size, mtimeNs, ctimeNs].join(' ')
      if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`)
      const before = this.#known.get(path)
      const content =
        before?.version === version ? before.content : this.#parse(await readFile(path, 'utf8'), path)
      known.set(path, { version, content })
      return { path, content, problem: '' }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      return { path, content: undefined, problem: describeError(error).split('\n')[0] ?? '' }
    }
  }
}

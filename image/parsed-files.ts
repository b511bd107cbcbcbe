import { readdirSync, readFileSync, statSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'

const LARGEST_BYTES = 4 << 20
const MOST_KEPT = 500
/** File systems tell changes apart by the clock's tick: a file younger than this may change without a sign of it. */
const YOUNG_MS = 100

interface Kept<Content> {
  /** What of the file would change with its content. */
  readonly version: string
  readonly content: Content
}

/** Small files of the administrator's, looked at anew by each `read` and parsed when they have changed. */
export class ParsedFiles<Content> {
  readonly #parse: (text: string, path: string) => Content
  readonly #kept = new Map<string, Kept<Content>>()

  constructor(parse: (text: string, path: string) => Content) {
    this.#parse = parse
  }

  /** Undefined where there is no file. Throws failed-precondition when it cannot be read, and what parsing throws. */
  read(path: string): Content | undefined {
    const version = versionOf(path)
    const kept = this.#kept.get(path)
    if (kept !== undefined && kept.version === version?.text) return kept.content
    this.#kept.delete(path)
    if (version === undefined) return undefined
    const content = this.#parse(textOf(path), path)
    if (version.isOld) this.#keep(path, { version: version.text, content })
    return content
  }

  #keep(path: string, kept: Kept<Content>): void {
    const oldest = this.#kept.size >= MOST_KEPT ? this.#kept.keys().next().value : undefined
    if (oldest !== undefined) this.#kept.delete(oldest)
    this.#kept.set(path, kept)
  }
}

/** None where there is no directory; throws failed-precondition when it cannot be read. */
export function namesIn(directory: string): readonly string[] {
  try {
    // An error that is thrown takes ten times as long as this.
    return statSync(directory, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(directory)
  } catch (thrown) {
    if (isAbsence(thrown)) return []
    throw unreadable(directory, thrown)
  }
}

/** Whether a failed system call says that there is no such file. */
export const isAbsence = (thrown: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(errnoOf(thrown) ?? '')

export const unreadable = (path: string, cause: unknown) =>
  new CriError('failed-precondition', `registry configuration ${path} cannot be read`, { cause })

function versionOf(path: string): { readonly text: string; readonly isOld: boolean } | undefined {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (stats === undefined) return undefined
    const { ino, size, mtimeNs, ctimeNs, ctimeMs } = stats
    if (size > LARGEST_BYTES) throw new Error(`it has more than ${LARGEST_BYTES} bytes`)
    const isOld = Math.abs(Date.now() - Number(ctimeMs)) > YOUNG_MS
    return { text: [ino, size, mtimeNs, ctimeNs].join(' '), isOld }
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw unreadable(path, thrown)
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

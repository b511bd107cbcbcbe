import { existsSync, type FSWatcher, mkdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs'
import { join } from 'node:path'
import { namesIn } from './names-in.ts'

/** The directory in which monitors leave exit codes: a file per container, its name the id. */
export class ExitFiles implements Disposable {
  readonly #directory: string
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #watcher: FSWatcher

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#directory = directory
    this.#watcher = watch(directory, { persistent: false }, (_, name) => {
      if (name !== null) for (const tell of this.#waiting.get(name) ?? []) tell()
    })
    this.#watcher.on('error', () => undefined) // The directory went.
  }

  /** The exit code in decimal; the file's time is that of the exit. It comes under another name first, so it is whole. */
  read(id: string): { readonly atNs: string; readonly exitCode: number } | undefined {
    const path = join(this.#directory, id)
    if (!existsSync(path)) return undefined
    const exitCode = Number(readFileSync(path, 'utf8'))
    return { atNs: statSync(path, { bigint: true }).mtimeNs.toString(), exitCode }
  }

  /** With what a monitor that was killed while it wrote has left: `ID.XXXXXX`, to be renamed. */
  remove(id: string): void {
    for (const name of namesIn(this.#directory)) {
      if (name === id || name.startsWith(`${id}.`)) rmSync(join(this.#directory, name), { force: true })
    }
  }

  /** `seen` resolves when the file is there. */
  next(id: string): Disposable & { readonly seen: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const tellers = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, tellers.add(resolve))
    if (this.read(id) !== undefined) resolve()
    return {
      seen: promise,
      [Symbol.dispose]: () => {
        tellers.delete(resolve)
        if (tellers.size === 0) this.#waiting.delete(id)
      },
    }
  }

  [Symbol.dispose](): void {
    this.#watcher.close()
  }
}

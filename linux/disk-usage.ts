import { Worker } from 'node:worker_threads'
import type { TreeUsage } from './tree-usage.ts'
import { workerUrl } from './worker-url.ts'

export interface DiskUsageRequest {
  readonly path: string
  readonly timeoutMs: number
}
export type DiskUsageAnswer = { readonly usage: TreeUsage } | { readonly error: string }

export interface DiskUsageOptions {
  /** For one tree. */
  readonly timeoutMs?: number
  /** The worker ends after this time without work. */
  readonly idleMs?: number
}

/** Measures trees in a worker, one after another. At rest there is none. */
export class DiskUsage implements AsyncDisposable {
  readonly #timeoutMs: number
  readonly #idleMs: number
  #worker: Worker | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isClosed = false

  constructor({ timeoutMs = 30_000, idleMs = 1_000 }: DiskUsageOptions = {}) {
    this.#timeoutMs = timeoutMs
    this.#idleMs = idleMs
  }

  /** Rejects when it cannot be read, or when this ends. */
  measure(path: string): Promise<TreeUsage> {
    this.#waiting += 1
    const measured = this.#last.then(() => this.#ask(path))
    this.#last = measured
      .catch(() => {})
      .finally(() => {
        this.#waiting -= 1
        if (this.#waiting === 0) this.#rest()
      })
    return measured
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#end()
  }

  #ask(path: string): Promise<TreeUsage> {
    const { promise, resolve, reject } = Promise.withResolvers<TreeUsage>()
    if (this.#isClosed) throw new Error('measuring was ended')
    clearTimeout(this.#idleTimer)
    this.#worker ??= this.#start()
    const worker = this.#worker
    const answered = (answer: DiskUsageAnswer): void =>
      'usage' in answer ? resolve(answer.usage) : reject(new Error(answer.error))
    const ended = (): void => reject(new Error(`the worker that measured ${path} ended`))
    worker.on('message', answered).on('error', reject).on('exit', ended).ref()
    worker.postMessage({ path, timeoutMs: this.#timeoutMs } satisfies DiskUsageRequest)
    return promise.finally(() => worker.off('message', answered).off('error', reject).off('exit', ended))
  }

  #start(): Worker {
    const worker = new Worker(workerUrl(import.meta.url, 'disk-usage'), {
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    })
    worker.on('error', () => {}) // Whoever waits is told; the next one starts another.
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    return worker
  }

  #rest(): void {
    this.#worker?.unref()
    this.#idleTimer = setTimeout(() => void this.#end(), this.#idleMs).unref()
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idleTimer)
    const worker = this.#worker
    this.#worker = undefined
    worker?.ref() // Or nothing may be left to keep the loop alive until it has ended.
    await worker?.terminate()
  }
}

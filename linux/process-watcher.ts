import { closeSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import koffi from 'koffi'
import { openPidfd } from './libc.ts'
import { workerUrl } from './worker-url.ts'

/** How a child ended; a signal's exit code is 128 + its number, as in a shell. */
export interface Exit {
  readonly exitCode: number
  readonly signal?: number
}

export type WatcherRequest = 'end' | { readonly token: number; readonly pidfd: number }
export interface WatcherMessage {
  readonly token: number
  readonly exit: Exit | undefined
}

const createEventfd = koffi.load('libc.so.6').func('int eventfd(unsigned int initial, int flags)')
const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000
const ring = Buffer.from(new BigUint64Array([1n]).buffer)

/** Waits for the end of any number of processes with one thread, which sleeps in the kernel. */
export class ProcessWatcher implements AsyncDisposable {
  readonly #doorbell: number = createEventfd(0, EFD_CLOEXEC_NONBLOCK)
  readonly #waiting = new Map<number, (exit: Exit | undefined) => void>()
  readonly #worker: Worker
  #nextToken = 0

  constructor() {
    this.#worker = new Worker(workerUrl(import.meta.url, 'process-watcher'), {
      workerData: { doorbell: this.#doorbell },
      trackUnmanagedFds: false, // It closes pidfds that this thread has opened.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    })
    this.#worker.on('message', ({ token, exit }: WatcherMessage) => {
      this.#waiting.get(token)?.(exit)
      this.#waiting.delete(token)
      if (this.#waiting.size === 0) this.#worker.unref()
    })
    this.#worker.unref()
  }

  /** Resolves when the process has ended: with its status if it is our child, else with undefined. */
  ended(pid: number): Promise<Exit | undefined> {
    const pidfd = openPidfd(pid)
    return pidfd === undefined ? Promise.resolve(undefined) : this.endedByPidfd(pidfd)
  }

  /** The same of an open pidfd, which is closed by it. */
  endedByPidfd(pidfd: number): Promise<Exit | undefined> {
    const token = this.#nextToken++
    const { promise, resolve } = Promise.withResolvers<Exit | undefined>()
    this.#waiting.set(token, resolve)
    this.#worker.ref()
    this.#post({ token, pidfd })
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#worker.ref()
    this.#post('end')
    await new Promise((resolve) => this.#worker.once('exit', resolve))
    closeSync(this.#doorbell)
  }

  #post(request: WatcherRequest): void {
    this.#worker.postMessage(request)
    writeSync(this.#doorbell, ring)
  }
}

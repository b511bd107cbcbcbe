import { Worker } from 'node:worker_threads'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import type { Device } from '#runtime/container/record.ts'
import type { HostDevice, HostPaths } from '#runtime/ports.ts'
import type { MountSource } from './mount-source.ts'
import { workerUrl } from './worker-url.ts'

export type HostPathsRequest =
  | { readonly ask: 'logDirectory'; readonly path: string }
  | { readonly ask: 'mountSource'; readonly path: string; readonly propagates: boolean }
  | { readonly ask: 'devices'; readonly path: string; readonly device: Device }
  | { readonly ask: 'allDevices'; readonly path: string }
export type HostPathsAnswer =
  | { readonly result: undefined | MountSource | readonly HostDevice[] }
  | { readonly error: { readonly kind: ErrorKind; readonly message: string } }

export interface HostPathsOptions {
  readonly deadlineMs?: number
  /** A worker without work ends after this time. */
  readonly idleMs?: number
  readonly worker?: URL
}

interface Job {
  readonly request: HostPathsRequest
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** Each may hang with a path of its own; more requests than that wait for one another. */
const MAX_WORKERS = 4

/**
 * Touches foreign paths in workers that may hang (a dead NFS server): a request that misses its deadline throws
 * deadline-exceeded, and its worker is given up, to end whenever the kernel lets go of it. A hung one never holds
 * up the next request. At rest there is none.
 */
export class WorkerHostPaths implements HostPaths, AsyncDisposable {
  readonly #deadlineMs: number
  readonly #idleMs: number
  readonly #url: URL
  readonly #queue: Job[] = []
  readonly #idle = new Map<Worker, NodeJS.Timeout>()
  readonly #ending = new Set<Promise<unknown>>()
  #busy = 0

  constructor({ deadlineMs = 10_000, idleMs = 10_000, worker }: HostPathsOptions = {}) {
    this.#deadlineMs = deadlineMs
    this.#idleMs = idleMs
    this.#url = worker ?? workerUrl(import.meta.url, 'host-paths')
  }

  makeLogDirectory(path: string): Promise<void> {
    return this.#ask({ ask: 'logDirectory', path })
  }

  /** `propagates`: also tell whether it can, for a mount that is not private. */
  mountSource(path: string, propagates = false): Promise<MountSource> {
    return this.#ask({ ask: 'mountSource', path, propagates })
  }

  devices(device: Device): Promise<readonly HostDevice[]> {
    return this.#ask({ ask: 'devices', path: device.hostPath, device })
  }

  allDevices(): Promise<readonly HostDevice[]> {
    return this.#ask({ ask: 'allDevices', path: '/dev' })
  }

  /** Ends the idle workers; those that hang live on, and process.exit() would wait for them: see exitNow. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#idle.keys()) this.#end(worker)
    await Promise.all(this.#ending)
  }

  #ask<Result>(request: HostPathsRequest): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.#queue.push({ request, resolve: resolve as Job['resolve'], reject })
    this.#startNext()
    return promise
  }

  #startNext(): void {
    if (this.#busy === MAX_WORKERS) return
    const job = this.#queue.shift()
    if (job === undefined) return
    this.#busy += 1
    this.#run(job, this.#takeIdle() ?? this.#newWorker())
  }

  #takeIdle(): Worker | undefined {
    const [entry] = this.#idle
    if (entry === undefined) return undefined
    const [worker, timer] = entry
    clearTimeout(timer)
    this.#idle.delete(worker)
    return worker
  }

  #newWorker(): Worker {
    const worker = new Worker(this.#url, {
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    })
    worker.on('error', () => this.#idle.delete(worker)) // Else an idle one's failure would be the daemon's.
    return worker
  }

  #run({ request, resolve, reject }: Job, worker: Worker): void {
    const finish = (isReusable: boolean, settle: () => void): void => {
      clearTimeout(deadline)
      worker.off('message', answered).off('error', failed)
      if (isReusable) this.#rest(worker)
      else this.#end(worker)
      this.#busy -= 1
      settle()
      this.#startNext()
    }
    const answered = (answer: HostPathsAnswer): void =>
      finish(true, () => {
        if ('result' in answer) resolve(answer.result)
        else reject(new CriError(answer.error.kind, answer.error.message))
      })
    const failed = (cause: unknown): void =>
      finish(false, () => reject(new Error(`the worker that looked at ${request.path} failed`, { cause })))
    const deadline = setTimeout(() => finish(false, () => reject(this.#tooLate(request))), this.#deadlineMs)
    worker.on('message', answered).on('error', failed).ref()
    worker.postMessage(request)
  }

  #rest(worker: Worker): void {
    worker.unref()
    this.#idle.set(worker, setTimeout(() => this.#end(worker), this.#idleMs).unref())
  }

  /** A hung thread does not end now, and is not waited for; unref'd, it does not keep the daemon's loop alive. */
  #end(worker: Worker): void {
    clearTimeout(this.#idle.get(worker))
    const isIdle = this.#idle.delete(worker)
    worker.unref()
    const ended = worker.terminate().finally(() => this.#ending.delete(ended))
    if (isIdle) this.#ending.add(ended)
  }

  #tooLate({ path }: HostPathsRequest): CriError {
    return new CriError(
      'deadline-exceeded',
      `host path ${path} did not answer within ${this.#deadlineMs / 1000} s: ` +
        'is it on a network file system whose server is down? Unmount it, or bring the server back',
    )
  }
}

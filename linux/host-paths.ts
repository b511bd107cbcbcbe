import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import type { Device } from '#runtime/container/record.ts'
import type { HostDevice, HostPaths, MountSource, MountSourceRequest } from '#runtime/ports.ts'
import { hangsWith, isWithin } from './mountinfo.ts'
import { workerUrl } from './worker-url.ts'

export type HostPathsRequest =
  | { readonly ask: 'logDirectory'; readonly path: string }
  | { readonly ask: 'mountSource'; readonly path: string; readonly request: MountSourceRequest }
  | { readonly ask: 'devices'; readonly path: string; readonly device: Device }
  | { readonly ask: 'allDevices'; readonly path: string }
  | {
      readonly ask: 'mappedCopy'
      readonly path: string
      readonly target: string
      readonly userNamespace: string
    }
  | { readonly ask: 'file'; readonly path: string }
export type HostPathsAnswer =
  | { readonly result: undefined | string | MountSource | readonly HostDevice[] }
  | { readonly error: { readonly kind: ErrorKind; readonly message: string } }
/** The first message of a worker, before its answers. */
export const LOADED = 'loaded'

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

/** What a worker is at. */
interface Look {
  readonly path: string
  /** Once it is slow: what is taken to hang with the path. */
  stuckAt: string | undefined
  /** It has missed its deadline; its thread ends when the kernel lets go of it. */
  isHung: boolean
}

/** After this time a look keeps no other path waiting. */
const SLOW_MS = 1_000
/** That are not slow. */
const MAX_FRESH = 4
/** Looks at one time, hung ones with them: threads take memory. */
const MAX_LOOKS = 16

/**
 * Touches foreign paths in workers that may hang (a dead NFS server): a request that misses its deadline throws
 * deadline-exceeded, and its worker is given up, to end whenever the kernel lets go of it. Until then what hangs with
 * that path is refused at once (unavailable); other paths do not wait for it. At rest there is no worker.
 */
export class WorkerHostPaths implements HostPaths, AsyncDisposable {
  readonly #deadlineMs: number
  readonly #idleMs: number
  readonly #url: URL
  readonly #waiting = new Set<Job>()
  readonly #idle = new Map<Worker, NodeJS.Timeout>()
  readonly #ending = new Set<Promise<unknown>>()
  readonly #loading = new Set<Worker>()
  readonly #looks = new Map<Worker, Look>()

  constructor({ deadlineMs = 10_000, idleMs = 10_000, worker }: HostPathsOptions = {}) {
    this.#deadlineMs = deadlineMs
    this.#idleMs = idleMs
    this.#url = worker ?? workerUrl(import.meta.url, 'host-paths')
  }

  makeLogDirectory(path: string): Promise<void> {
    return this.#ask({ ask: 'logDirectory', path })
  }

  mountSource(path: string, request: MountSourceRequest = {}): Promise<MountSource> {
    return this.#ask({ ask: 'mountSource', path, request })
  }

  devices(device: Device): Promise<readonly HostDevice[]> {
    return this.#ask({ ask: 'devices', path: device.hostPath, device })
  }

  allDevices(): Promise<readonly HostDevice[]> {
    return this.#ask({ ask: 'allDevices', path: '/dev' })
  }

  /** See linux/mapped-copy.ts. */
  mountMappedCopy(path: string, target: string, userNamespace: string): Promise<void> {
    return this.#ask({ ask: 'mappedCopy', path, target, userNamespace })
  }

  readFile(path: string): Promise<string> {
    return this.#ask({ ask: 'file', path })
  }

  /** Ends the idle workers; those that hang live on, and process.exit() would wait for them: see exitNow. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#idle.keys()) this.#end(worker)
    await Promise.all(this.#ending)
  }

  #ask<Result>(request: HostPathsRequest): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.#waiting.add({ request, resolve: resolve as Job['resolve'], reject })
    this.#startWaiting()
    return promise
  }

  #startWaiting(): void {
    const stuck = [...this.#looks.values()].filter(({ stuckAt }) => stuckAt !== undefined)
    for (const job of [...this.#waiting]) {
      const { path } = job.request
      const obstacles = stuck.filter(({ stuckAt }) => stuckAt !== undefined && isWithin(path, stuckAt))
      if (obstacles.some(({ isHung }) => isHung) || stuck.length === MAX_LOOKS) {
        this.#waiting.delete(job)
        job.reject(refused(path, obstacles.length > 0 ? obstacles : stuck))
      } else if (
        obstacles.length === 0 &&
        this.#looks.size - stuck.length < MAX_FRESH &&
        this.#looks.size < MAX_LOOKS
      ) {
        this.#waiting.delete(job)
        this.#run(job, this.#takeIdle() ?? this.#newWorker())
      }
    }
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
      trackUnmanagedFds: false, // node:fs closes what was opened by FFI.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    })
    worker.on('error', () => this.#idle.delete(worker)) // Else an idle one's failure would be the daemon's.
    this.#loading.add(worker)
    worker.once('message', () => this.#loading.delete(worker))
    worker.once('exit', () => this.#loading.delete(worker))
    return worker
  }

  #run({ request, resolve, reject }: Job, worker: Worker): void {
    const look: Look = { path: request.path, stuckAt: undefined, isHung: false }
    this.#looks.set(worker, look)
    const leave = (): void => {
      clearTimeout(slow)
      clearTimeout(deadline)
      worker.off('message', answered).off('error', failed)
    }
    const finish = (isReusable: boolean, settle: () => void): void => {
      leave()
      this.#looks.delete(worker)
      if (isReusable) this.#rest(worker)
      else this.#end(worker)
      settle()
      this.#startWaiting()
    }
    const answered = (answer: HostPathsAnswer | typeof LOADED): void => {
      if (answer === LOADED) return
      finish(true, () => {
        if ('result' in answer) resolve(answer.result)
        else reject(new CriError(answer.error.kind, answer.error.message))
      })
    }
    const failed = (cause: unknown): void =>
      finish(false, () => reject(new Error(`the worker that looked at ${request.path} failed`, { cause })))
    const slow = setTimeout(() => this.#holdUp(look), SLOW_MS)
    const deadline = setTimeout(() => {
      leave()
      look.isHung = true
      reject(this.#tooLate(request))
      this.#giveUp(worker, look)
    }, this.#deadlineMs)
    worker.on('message', answered).on('error', failed).ref()
    worker.postMessage(request)
  }

  /** A slow look holds up those at what may hang with it, and no other. */
  #holdUp(look: Look): void {
    look.stuckAt ??= hangsWith(look.path, readFileSync('/proc/self/mountinfo', 'utf8'))
    this.#startWaiting()
  }

  #giveUp(worker: Worker, look: Look): void {
    worker.once('exit', () => {
      this.#looks.delete(worker)
      this.#startWaiting()
    })
    this.#end(worker)
    this.#holdUp(look)
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
    if (this.#loading.has(worker)) {
      // The end of a thread within koffi's own code, which throws then, would be that of the whole process.
      worker.once('message', () => void worker.terminate())
      return
    }
    const ended = worker.terminate().finally(() => this.#ending.delete(ended))
    if (isIdle) this.#ending.add(ended)
  }

  #tooLate({ path }: HostPathsRequest): CriError {
    return new CriError(
      'deadline-exceeded',
      `host path ${path} did not answer within ${this.#deadlineMs / 1000} s: ${REMEDY}`,
    )
  }
}

const REMEDY =
  'is it on a network file system whose server is down? Bring the server back, or unmount it by force (umount -f)'

const refused = (path: string, looks: readonly Look[]): CriError =>
  new CriError(
    'unavailable',
    `host path ${path} is not looked at while these do not answer: ` +
      `${[...new Set(looks.map(({ stuckAt }) => stuckAt))].join(', ')}: ${REMEDY}`,
  )

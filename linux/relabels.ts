import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import { workerUrl } from './worker-url.ts'

export interface RelabelRequest {
  readonly paths: readonly string[]
  readonly label: string
}
/** What a worker is given: once the number is 1, it is to end. */
export interface RelabelWork extends RelabelRequest {
  readonly givenUp: Int32Array<SharedArrayBuffer>
}
export type RelabelAnswer =
  | { readonly done: true }
  | { readonly error: { readonly kind: ErrorKind; readonly message: string } }

interface Job {
  readonly owner: string
  readonly request: RelabelRequest
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Running {
  readonly worker: Worker
  readonly givenUp: Int32Array<SharedArrayBuffer>
}

/** How long the end of the daemon waits for workers, which may hang in the kernel. */
const END_MS = 2_000
/** Trees are labelled at one time: more only share the same disk. */
const MAX_AT_ONCE = 8

/** Labels trees of files, each request in a worker of its own, for as long as it takes or until it is given up. */
export class Relabels implements AsyncDisposable {
  readonly #maxAtOnce: number
  readonly #waiting: Job[] = []
  readonly #running = new Map<Job, Running>()
  readonly #ending = new Set<Promise<unknown>>()
  readonly #refusals = new Set<{ readonly owner: string }>()

  constructor({ maxAtOnce = MAX_AT_ONCE } = {}) {
    this.#maxAtOnce = maxAtOnce
  }

  /** For whom it is done `owner` says. */
  relabel(owner: string, request: RelabelRequest): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if ([...this.#refusals].some((refusal) => refusal.owner === owner)) reject(givenUp(request))
    else this.#waiting.push({ owner, request, resolve, reject })
    this.#startNext()
    return promise
  }

  /** Rejects what is done for the owner, and what is asked for until this is disposed; files keep the labels they have. */
  giveUp(owner: string): Disposable {
    const refusal = { owner }
    this.#refusals.add(refusal)
    this.#cancel((job) => job.owner === owner)
    return { [Symbol.dispose]: () => void this.#refusals.delete(refusal) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel(() => true)
    await Promise.race([Promise.all(this.#ending), setTimeout(END_MS, undefined, { ref: false })])
  }

  #cancel(isMeant: (job: Job) => boolean): void {
    for (const job of this.#waiting.filter(isMeant)) {
      this.#waiting.splice(this.#waiting.indexOf(job), 1)
      job.reject(givenUp(job.request))
    }
    for (const [job, running] of [...this.#running].filter(([each]) => isMeant(each))) {
      Atomics.store(running.givenUp, 0, 1)
      job.reject(givenUp(job.request))
      this.#finish(job, running)
    }
  }

  #startNext(): void {
    while (this.#running.size < this.#maxAtOnce) {
      const job = this.#waiting.shift()
      if (job === undefined) return
      this.#start(job)
    }
  }

  #start(job: Job): void {
    const givenUp = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(workerUrl(import.meta.url, 'relabel'), {
      workerData: { ...job.request, givenUp } satisfies RelabelWork,
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
    })
    const running = { worker, givenUp }
    this.#running.set(job, running)
    const ended = new Promise((exited) => worker.on('exit', exited))
    this.#ending.add(ended)
    void ended.then(() => this.#ending.delete(ended))
    const { promise, resolve, reject } = Promise.withResolvers<RelabelAnswer>()
    worker.on('message', resolve).on('error', reject)
    worker.on('exit', () => reject(new Error(`the worker that labelled ${job.request.paths} ended`)))
    void promise
      .then((answer) => {
        if ('done' in answer) job.resolve()
        else job.reject(new CriError(answer.error.kind, answer.error.message))
      }, job.reject)
      .finally(() => this.#finish(job, running))
  }

  /** The worker ends by itself: within koffi's code the end of a thread would be that of the process. */
  #finish(job: Job, { worker }: Running): void {
    if (!this.#running.delete(job)) return
    worker.unref()
    this.#startNext()
  }
}

const givenUp = ({ paths }: RelabelRequest): CriError =>
  new CriError(
    'cancelled',
    `labelling ${paths.join(', ')} for SELinux was given up: the pod or cri-ts is being stopped`,
  )

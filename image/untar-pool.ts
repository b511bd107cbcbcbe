import { stat } from 'node:fs'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { CriError } from '#lib/errors.ts'
import { workerUrl } from '#linux/worker-url.ts'
import type { LayerForm } from './artifact-layers.ts'
import type { MadePatch, StackedLayer } from './image-patch.ts'
import type { LayerFormat } from './layer-format.ts'
import { headersFileOf } from './layer-headers.ts'
import type { PackedLayer, PackTarget } from './layer-pack.ts'
import type { LayerUsage } from './layer-writer.ts'
import { type OpenBlob, UntarFeed } from './untar-feed.ts'
import type { FromWorker, ToWorker, UntarLimits, UntarRequest } from './untar-messages.ts'

export interface UntarJob {
  /** Is made; its parent is there. A file in the format `erofs`. */
  readonly directory: string
  readonly format: LayerFormat
  readonly digest: string
  readonly diffId: string
  /** Of an artifact's layer, which has no diff id. */
  readonly form?: LayerForm | undefined
  readonly limits: UntarLimits
}

export interface Unpacked extends LayerUsage {
  readonly compressedBytes: number
}

interface Thread {
  readonly worker: Worker
  readonly jobs: Set<(failure: Error) => void>
  idleTimer: NodeJS.Timeout | undefined
}

export interface UntarPoolOptions {
  readonly maxThreads?: number
  readonly idleMs?: number
  /** Of each thread; what needs more ends it. */
  readonly heapMb?: number
}

/** Threads that unpack layers, copy and delete trees: at most `maxThreads`, started when needed, ended when idle. */
export class UntarPool implements AsyncDisposable {
  readonly #threads = new Set<Thread>()
  readonly #maxThreads: number
  readonly #idleMs: number
  readonly #heapMb: number
  readonly #closing = new AbortController()

  constructor(options: UntarPoolOptions = {}) {
    this.#maxThreads = options.maxThreads ?? 2
    this.#idleMs = options.idleMs ?? 3_000
    this.#heapMb = options.heapMb ?? 256
  }

  /**
   * Unpacks a blob, which `open` begins to fetch, into a new directory. Throws invalid-argument when its digest,
   * its diff id or its tar is not right; the directory is then to be removed.
   */
  async untar(job: UntarJob, open: OpenBlob, signal: AbortSignal): Promise<Unpacked> {
    signal.throwIfAborted()
    const { port1: port, port2 } = new MessageChannel()
    const feed = new UntarFeed(port)
    const giveUp = new AbortController()
    const unpacked = this.#run({ task: 'untar', port: port2, ...job }, port, feed.taken)
    const fed = feed.send(open, AbortSignal.any([signal, giveUp.signal]))
    const cancel = (): void => port.postMessage('cancel' satisfies ToWorker)
    signal.addEventListener('abort', cancel)
    try {
      // Whichever fails first is the reason; the other one is made to stop by it.
      const [answer] = await Promise.all([unpacked, fed])
      return { ...answer.usage, compressedBytes: answer.compressedBytes }
    } catch (error) {
      giveUp.abort()
      feed.close()
      cancel()
      await unpacked.catch(() => {}) // So that nobody writes any more to what the caller removes.
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  get threadCount(): number {
    return this.#threads.size
  }

  /** Deletes a tree; one that is not there is fine. Ends with the pool, between two of its entries. */
  async remove(path: string): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    using stop = flagOf(this.#closing.signal)
    const request = { task: 'remove', port: port2, path, cancelled: stop.cancelled } as const
    await this.#run(request, port1, () => {})
  }

  /** See copy-tree.ts. */
  async copyTree(from: string, to: string): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    await this.#run({ task: 'copy', port: port2, from, to }, port1, () => {})
  }

  /** See layer-pack.ts. Nobody writes to the file once it has failed. */
  async pack(directory: string, target: PackTarget, signal: AbortSignal): Promise<PackedLayer> {
    signal.throwIfAborted()
    const { port1, port2 } = new MessageChannel()
    using stop = flagOf(signal)
    const layer = { directory, headersFile: headersFileOf(directory) }
    const request = { task: 'pack', port: port2, layer, target, cancelled: stop.cancelled } as const
    const { packed } = await this.#run(request, port1, () => {})
    if (packed === undefined) throw new Error('a layer was packed without an answer')
    return packed
  }

  /** See image-patch.ts. Nobody writes to what it makes once it has failed. */
  async patch(layers: readonly StackedLayer[], signal: AbortSignal): Promise<readonly MadePatch[]> {
    signal.throwIfAborted()
    const { port1, port2 } = new MessageChannel()
    using stop = flagOf(signal)
    const request = { task: 'patch', port: port2, layers, cancelled: stop.cancelled } as const
    const { patches = [] } = await this.#run(request, port1, () => {})
    return patches
  }

  /** Ends at once: what runs fails as cancelled. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#threads].map((thread) => this.#end(thread)))
  }

  async #run(request: UntarRequest, port: MessagePort, taken: (sizeBytes: number) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromWorker, { answer: 'done' }>>()
    const thread = this.#thread()
    thread.jobs.add(reject)
    thread.worker.ref()
    port.on('message', (message: FromWorker) => {
      if (message.answer === 'taken') taken(message.sizeBytes)
      else if (message.answer === 'done') resolve(message)
      else reject(new CriError(message.kind, message.message))
    })
    thread.worker.postMessage(request, [request.port])
    try {
      return await promise
    } finally {
      port.close()
      thread.jobs.delete(reject)
      if (thread.jobs.size === 0) this.#rest(thread)
    }
  }

  /** The least busy one, or a new one when all are busy. */
  #thread(): Thread {
    if (this.#closing.signal.aborted) throw closing()
    const [idlest] = [...this.#threads].toSorted((a, b) => a.jobs.size - b.jobs.size)
    const mayGrow = this.#threads.size < this.#maxThreads
    const thread = idlest === undefined || (idlest.jobs.size > 0 && mayGrow) ? this.#start() : idlest
    clearTimeout(thread.idleTimer)
    return thread
  }

  #start(): Thread {
    stat('/', () => {}) // Node's own threads are made by who first needs them, and would be as nice as this one.
    const worker = new Worker(workerUrl(import.meta.url, 'untar'), {
      resourceLimits: { maxOldGenerationSizeMb: this.#heapMb, maxYoungGenerationSizeMb: 16 },
    })
    const thread: Thread = { worker, jobs: new Set(), idleTimer: undefined }
    // Nobody heeds that the ports close, which comes first: only here the reason is told.
    const lost = (error: Error): void => {
      this.#threads.delete(thread)
      for (const reject of thread.jobs) reject(error)
    }
    worker.on('error', (cause) => lost(new CriError('internal', 'the untar thread failed', { cause })))
    worker.on('exit', () =>
      lost(this.#closing.signal.aborted ? closing() : new CriError('internal', 'the untar thread ended')),
    )
    this.#threads.add(thread)
    return thread
  }

  #rest(thread: Thread): void {
    thread.worker.unref()
    thread.idleTimer = setTimeout(() => void this.#end(thread), this.#idleMs).unref()
  }

  async #end(thread: Thread): Promise<void> {
    clearTimeout(thread.idleTimer)
    this.#threads.delete(thread)
    thread.worker.ref() // Or nothing may be left to keep the loop alive until it has ended.
    await thread.worker.terminate()
  }
}

/** Tells a thread of an abort that reads no message meanwhile. */
function flagOf(signal: AbortSignal): { readonly cancelled: Int32Array } & Disposable {
  const cancelled = new Int32Array(new SharedArrayBuffer(4))
  const cancel = (): void => void Atomics.store(cancelled, 0, 1)
  signal.addEventListener('abort', cancel)
  return { cancelled, [Symbol.dispose]: () => signal.removeEventListener('abort', cancel) }
}

const closing = (): CriError => new CriError('cancelled', 'the image store is closing')

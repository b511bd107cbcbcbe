import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describeError } from '#lib/errors.ts'
import { workerUrl } from '#linux/worker-url.ts'

export interface LayerCheckRequest {
  readonly directory: string
  readonly headersFile: string
  readonly diffId: string
}

export interface LayerCheckAnswer {
  /** A sentence each. */
  readonly problems: readonly string[]
  /** Nothing is known of how the layer was: an earlier version unpacked it. */
  readonly unknown?: boolean
  /** Why it could not be read to its end, where nothing was found to be wrong with it. */
  readonly unread?: string
}

/** Reads all files of unpacked layers and compares their tar's digest, in a thread of its own until it is disposed of. */
export class LayerChecker implements AsyncDisposable {
  readonly #heapMb: number
  #worker: Worker | undefined

  /** `heapMb`: what needs more ends the thread. As much as unpacking may take, whose limits bound it. */
  constructor(options: { readonly heapMb?: number } = {}) {
    this.#heapMb = options.heapMb ?? 256
  }

  /**
   * One at a time. A layer that ends the thread is answered as unread, and the next one gets another thread. Throws
   * when the signal says so; the checker is then to be disposed of.
   */
  async check(request: LayerCheckRequest, signal: AbortSignal): Promise<LayerCheckAnswer> {
    this.#worker ??= this.#start()
    this.#worker.postMessage(request)
    try {
      const [answer] = (await once(this.#worker, 'message', { signal })) as [LayerCheckAnswer]
      return answer
    } catch (error) {
      signal.throwIfAborted()
      await this[Symbol.asyncDispose]()
      return { problems: [], unread: `the thread that checked it failed: ${describeError(error)}` }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #start(): Worker {
    const worker = new Worker(workerUrl(import.meta.url, 'layer-check'), {
      resourceLimits: { maxOldGenerationSizeMb: this.#heapMb, maxYoungGenerationSizeMb: 16 },
    })
    worker.on('error', () => {}) // Who waits for it is told; when nobody does, it is no matter.
    return worker
  }
}

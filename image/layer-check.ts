import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
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
  readonly #worker = new Worker(workerUrl(import.meta.url, 'layer-check'), {
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
  })

  /** One at a time. Throws when the signal says so; the thread is then to be ended. */
  async check(request: LayerCheckRequest, signal: AbortSignal): Promise<LayerCheckAnswer> {
    this.#worker.postMessage(request)
    const [answer] = (await once(this.#worker, 'message', { signal })) as [LayerCheckAnswer]
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}

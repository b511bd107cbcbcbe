import { closeSync } from 'node:fs'
import { CriError } from '#lib/errors.ts'
import type { ContainerAttachRequest } from '#runtime/monitor-port.ts'
import { KeptConnections } from './attach-kept.ts'
import { AttachSession, mustStay, STOPPING } from './attach-session.ts'
import { type AttachConnection, type AttachListener, AttachThread } from './attach-thread.ts'
import { connectToMonitor } from './seqpacket.ts'

/** How far a client may be behind a container's output. What it has not taken lies in memory. */
const CLIENT_LAG_LIMIT_BYTES = 8 << 20

export interface AttachOptions {
  readonly lagLimitBytes?: number
  /** The code of the thread. */
  readonly workerUrl?: URL
}

/** Attaches clients to containers through their monitors' sockets. One thread serves them all, while there are any. */
export class AttachSockets implements AsyncDisposable {
  readonly #options: AttachOptions
  /** That new attachments are given to. */
  #thread: AttachThread | undefined
  /** Those that have yet to end, too. */
  readonly #threads = new Set<AttachThread>()
  readonly #kept = new KeptConnections()
  readonly #sessions = new Set<AttachSession>()
  #isClosed = false

  constructor(options: AttachOptions = {}) {
    this.#options = options
  }

  /** As ContainerMonitor.attach: `bundleDirectory` is where the container's monitor has its socket. */
  async attach(request: ContainerAttachRequest, bundleDirectory: string): Promise<void> {
    if (this.#isClosed) throw new CriError('unavailable', `container ${request.id}: attach: ${STOPPING}`)
    if (request.signal.aborted) return
    const { lagLimitBytes = CLIENT_LAG_LIMIT_BYTES } = this.#options
    const { id } = request
    const session = new AttachSession(request, bundleDirectory, lagLimitBytes, {
      connect: (listener) => this.#connect(request, bundleDirectory, listener),
      keep: (connection) => this.#kept.add(id, connection),
    })
    this.#sessions.add(session)
    try {
      await session.done
    } finally {
      this.#sessions.delete(session)
    }
  }

  /** Every attachment fails as unavailable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const session of this.#sessions) session.close()
    await Promise.all([...this.#threads].map((thread) => thread.close()))
  }

  #connect(
    request: ContainerAttachRequest,
    bundleDirectory: string,
    listener: AttachListener,
  ): AttachConnection {
    const kept = mustStay(request) ? this.#kept.take(request.id) : undefined
    kept?.listen(listener)
    if (kept !== undefined) return kept
    using files = new DisposableStack()
    const fd = files.adopt(connectToMonitor(request.id, bundleDirectory), closeSync)
    this.#thread ??= this.#startThread()
    files.move() // The thread's from here on.
    return this.#thread.adopt(fd, listener)
  }

  #startThread(): AttachThread {
    const thread = new AttachThread(() => {
      if (this.#thread === thread) this.#thread = undefined
    }, this.#options.workerUrl)
    this.#threads.add(thread)
    void thread.ended.then(() => this.#threads.delete(thread))
    return thread
  }
}

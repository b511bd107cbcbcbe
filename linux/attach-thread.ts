import { closeSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import koffi from 'koffi'
import { type AttachOrder, type AttachReport, type OutputStream, WINDOW_BYTES } from './attach-messages.ts'
import { SystemError } from './libc.ts'
import { workerUrl } from './worker-url.ts'

/** What is told of a connection; at last that it has ended, or that it was lost. */
export interface AttachListener {
  output(stream: OutputStream, data: Buffer): void
  /** So much of the input was sent, or will never be read. */
  taken(sizeBytes: number): void
  ended(): void
  lost(why: string): void
}

export interface AttachConnection {
  send(input: Uint8Array<ArrayBuffer>): void
  /** After all that was sent. */
  endInput(): void
  /** Stays connected, and drops what comes, until it is listened to again or is gone. */
  mute(onGone: () => void): void
  listen(listener: AttachListener): void
  leave(): void
}

const createEventfd = koffi.load('libc.so.6').func('int eventfd(unsigned int initial, int flags)')
const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000
const ring = Buffer.from(new BigUint64Array([1n]).buffer)

interface Entry {
  readonly fd: number
  listener: AttachListener
  /** Reported, but not yet granted anew. */
  spentBytes: number
}

/** One thread that serves any number of connections to monitors. It ends by itself with the last of them. */
export class AttachThread {
  readonly #doorbell: number
  readonly #worker: Worker
  readonly #connections = new Map<number, Entry>()
  /** It takes no more connections from here on. */
  readonly #onClosing: () => void
  #nextToken = 0
  #failure: unknown
  #isGone = false
  /** Resolves when the thread is gone. */
  readonly ended: Promise<void>

  constructor(onClosing: () => void, url = workerUrl(import.meta.url, 'attach')) {
    this.#onClosing = onClosing
    this.#doorbell = createEventfd(0, EFD_CLOEXEC_NONBLOCK)
    if (this.#doorbell < 0) throw new SystemError('eventfd', '', koffi.errno())
    this.#worker = new Worker(url, {
      name: 'attach', // The thread has it too.
      workerData: { doorbell: this.#doorbell },
      trackUnmanagedFds: false, // It closes descriptors that this thread has opened.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    })
    this.#worker.on('message', (report: AttachReport) => this.#hear(report))
    this.#worker.on('error', (error) => {
      this.#failure = error
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#worker.once('exit', () => {
      this.#clear()
      resolve()
    })
  }

  /** `fd` is closed when the connection has ended. */
  adopt(fd: number, listener: AttachListener): AttachConnection {
    const token = this.#nextToken++
    const entry: Entry = { fd, listener, spentBytes: 0 }
    this.#connections.set(token, entry)
    this.#order({ do: 'adopt', token, fd })
    return {
      send: (input) => this.#order({ do: 'send', token, input }, [input.buffer]),
      endInput: () => this.#order({ do: 'endInput', token }),
      mute: (onGone) => {
        entry.listener = { output() {}, taken() {}, ended: onGone, lost: onGone }
        this.#order({ do: 'mute', token })
      },
      listen: (next) => {
        entry.listener = next
        this.#order({ do: 'unmute', token })
      },
      leave: () => this.#order({ do: 'leave', token }),
    }
  }

  /** What is connected still is told that it was lost. */
  async close(): Promise<void> {
    this.#onClosing()
    this.#order({ do: 'end' })
    await this.ended
  }

  #hear(report: AttachReport): void {
    const entry = this.#connections.get(report.token)
    if (entry === undefined) return
    switch (report.tell) {
      case 'output': {
        const { buffer, byteOffset, byteLength } = report.data
        this.#spend(report.token, entry, byteLength)
        entry.listener.output(report.stream, Buffer.from(buffer, byteOffset, byteLength))
        break
      }
      case 'taken':
        entry.listener.taken(report.sizeBytes)
        break
      case 'ended':
        this.#forget(report.token, entry, report.failure)
        break
    }
  }

  /** Grants once half of the window is spent, and not before the event loop has gone round. */
  #spend(token: number, entry: Entry, sizeBytes: number): void {
    const before = entry.spentBytes
    entry.spentBytes += sizeBytes
    if (before >= WINDOW_BYTES / 2 || entry.spentBytes < WINDOW_BYTES / 2) return
    setImmediate(() => {
      this.#order({ do: 'grant', token, sizeBytes: entry.spentBytes })
      entry.spentBytes = 0
    })
  }

  #forget(token: number, { fd, listener }: Entry, failure: string | undefined): void {
    this.#connections.delete(token)
    closeSync(fd)
    if (failure === undefined) listener.ended()
    else listener.lost(failure)
    if (this.#connections.size === 0) void this.close()
  }

  #clear(): void {
    this.#onClosing()
    const why = this.#failure instanceof Error ? this.#failure.message : 'it was told to'
    for (const { fd, listener } of this.#connections.values()) {
      closeSync(fd)
      listener.lost(`the thread of all attachments has ended: ${why}`)
    }
    this.#connections.clear()
    this.#isGone = true
    closeSync(this.#doorbell)
  }

  #order(order: AttachOrder, transferred: readonly ArrayBuffer[] = []): void {
    if (this.#isGone) return
    this.#worker.postMessage(order, [...transferred])
    writeSync(this.#doorbell, ring)
  }
}

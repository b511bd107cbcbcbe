import { join } from 'node:path'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import type { ContainerAttachRequest } from '#runtime/monitor-port.ts'
import type { OutputStream } from './attach-messages.ts'
import { requestResize } from './attach-resize.ts'
import { type ClientInput, type ClientOutput, clientInput, clientOutput } from './attach-streams.ts'
import type { AttachConnection, AttachListener } from './attach-thread.ts'

export const STOPPING = 'cri-ts is stopping: attach again when it has started anew'

/**
 * A client whose input has ended leaves, as with containerd, where the container's goes on: by the keys that detach a
 * terminal, say. What it wrote last has so long to be answered.
 */
const ANSWER_MS = 1_000

/** Whether the end of the connection would end the input of a container although the client had none to give. */
export const mustStay = ({ stdin, stdinOnce, streams }: ContainerAttachRequest): boolean =>
  stdin && stdinOnce && streams.stdin === undefined

export interface Connector {
  connect(listener: AttachListener): AttachConnection
  /** Takes a connection that must stay though its client goes. */
  keep(connection: AttachConnection): void
}

/** One client's attachment to one container. */
export class AttachSession implements AttachListener {
  /** As ContainerMonitor.attach. */
  readonly done: Promise<void>
  readonly #request: ContainerAttachRequest
  readonly #connection: AttachConnection
  readonly #keep: Connector['keep']
  readonly #lagLimitBytes: number
  readonly #outputs: { readonly [stream in OutputStream]: ClientOutput }
  readonly #input: ClientInput | undefined
  readonly #settle: { readonly resolve: () => void; readonly reject: (error: CriError) => void }
  #isConnected = true
  #isOver = false
  #leaving: NodeJS.Timeout | undefined

  constructor(
    request: ContainerAttachRequest,
    bundleDirectory: string,
    lagLimitBytes: number,
    connector: Connector,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.#settle = { resolve, reject }
    this.#request = request
    this.#lagLimitBytes = lagLimitBytes
    this.#keep = connector.keep
    this.#connection = connector.connect(this)
    const { streams, signal, tty } = request
    this.#outputs = { 2: clientOutput(streams.stdout), 3: clientOutput(streams.stderr) }
    this.#input = this.#passInput()
    signal.addEventListener('abort', this.#detach)
    if (!tty) return
    const controlFifo = join(bundleDirectory, 'ctl')
    streams.onResize((size) => {
      if (!this.#isOver) requestResize(controlFifo, size)
    })
  }

  output(stream: OutputStream, data: Buffer): void {
    if (this.#isOver) return
    const behindBytes = this.#outputs[stream].write(data)
    if (behindBytes <= this.#lagLimitBytes) return
    const name = stream === 2 ? 'standard output' : 'standard error'
    const remedy = 'let the client read faster, or read the log instead'
    const behind = `${mebibytes(behindBytes)} behind the container's ${name}`
    const limit = `more than ${mebibytes(this.#lagLimitBytes)}`
    this.#fail('resource-exhausted', `the client was dropped: it was ${behind}, ${limit}: ${remedy}`)
    this.#disconnect()
  }

  taken(sizeBytes: number): void {
    this.#input?.taken(sizeBytes)
  }

  ended(): void {
    this.#isConnected = false
    if (this.#isOver) return
    this.#input?.stop()
    const { 2: stdout, 3: stderr } = this.#outputs
    void Promise.all([stdout.taken(), stderr.taken()]).then(() => this.#finish())
  }

  lost(why: string): void {
    this.#fail('internal', `${why}: attach again`)
  }

  /** As the daemon stops. */
  close(): void {
    this.#fail('unavailable', STOPPING)
  }

  readonly #detach = (): void => {
    this.#finish()
    this.#disconnect()
  }

  /** Undefined where the client has none to give, or the container none to take. */
  #passInput(): ClientInput | undefined {
    const { stdin, stdinOnce, streams } = this.#request
    if (streams.stdin === undefined) return undefined
    if (!stdin) {
      streams.stdin.on('error', () => {})
      streams.stdin.resume() // Other streams of the client may wait behind it.
      return undefined
    }
    const { send, endInput } = this.#connection
    return clientInput(streams.stdin, send, () => {
      if (stdinOnce) endInput()
      else this.#leaving = setTimeout(this.#detach, ANSWER_MS)
    })
  }

  #disconnect(): void {
    if (!this.#isConnected) return
    if (mustStay(this.#request)) this.#keep(this.#connection)
    else this.#connection.leave()
  }

  #fail(kind: ErrorKind, what: string): void {
    if (this.#isOver) return
    this.#settle.reject(new CriError(kind, `container ${this.#request.id}: attach: ${what}`))
    this.#finish()
  }

  #finish(): void {
    this.#isOver = true
    clearTimeout(this.#leaving)
    this.#input?.stop()
    this.#request.signal.removeEventListener('abort', this.#detach)
    this.#settle.resolve()
  }
}

const mebibytes = (sizeBytes: number): string => `${(sizeBytes / 2 ** 20).toFixed(1)} MiB`

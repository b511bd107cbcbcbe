import { createHash } from 'node:crypto'
import { setPriority } from 'node:os'
import { type MessagePort, parentPort } from 'node:worker_threads'
import { CriError, describeError, errnoOf, invalidArgument } from '#lib/errors.ts'
import { giveBack } from '#lib/give-back.ts'
import { removeTree } from '#linux/remove-tree.ts'
import type { LayerForm } from './artifact-layers.ts'
import { tarAround } from './artifact-tar.ts'
import { blockingDecoder } from './blocking-decoder.ts'
import { copyTree } from './copy-tree.ts'
import { type Compression, compressionOf } from './layer-decoder.ts'
import { layerSink } from './layer-sink.ts'
import type { FromWorker, ToWorker, UntarRequest } from './untar-messages.ts'

/** Whoever waits for the main thread, such as a pod that starts, does not wait for a processor as well. */
const NICENESS = 5

/**
 * The thread that unpacks layers, copies and deletes trees, with synchronous file calls. Several jobs may run at once:
 * one gets on while another waits for its network. Bytes → digest → decompress → diff id → tar → files, in one pass.
 */
if (parentPort === null) throw new Error('this file is a worker')
setPriority(NICENESS) // Of this thread alone.
parentPort.on('message', (request: UntarRequest) => {
  const reply = (message: FromWorker): void => request.port.postMessage(message)
  // The pool closes the port when it has the answer: a close from here might overtake it.
  perform(request).then(reply, (error: unknown) => reply(failureOf(error)))
})

type Done = Extract<FromWorker, { answer: 'done' }>

async function perform(request: UntarRequest): Promise<Done> {
  if (request.task === 'untar') return untar(request)
  const done = { answer: 'done', usage: { usedBytes: 0, usedInodes: 0 }, compressedBytes: 0 } as const
  if (request.task === 'pack') {
    const { layer, target, cancelled } = request
    const { packLayer } = await import('./layer-pack.ts')
    return { ...done, packed: await packLayer(layer, target, () => Atomics.load(cancelled, 0) !== 0) }
  }
  if (request.task === 'patch') {
    const { layers, cancelled } = request
    const { patchImage } = await import('./image-patch.ts')
    return { ...done, patches: patchImage(layers, () => Atomics.load(cancelled, 0) !== 0) }
  }
  if (request.task === 'copy') copyTree(request.from, request.to)
  else removeTree(request.path, () => checkFlag(request.cancelled))
  return done
}

function checkFlag(cancelled: Int32Array): void {
  if (Atomics.load(cancelled, 0) !== 0) throw new CriError('cancelled', 'the deletion was cancelled')
}

async function untar(request: UntarRequest & { task: 'untar' }): Promise<Done> {
  const { port, digest, diffId, limits, form } = request
  using sink = layerSink(request)
  const blob = verifier(digest, Number.POSITIVE_INFINITY, 'blob')
  const tar = verifier(diffId, limits.sizeBytes, 'uncompressed layer')
  const inbox = inboxOf(port)
  const first = await inbox.take()

  async function* compressed(): AsyncGenerator<Uint8Array> {
    for (let pieces = first; pieces !== undefined; pieces = await inbox.take()) {
      for (const piece of pieces) {
        yield blob.take(piece)
        // Another piece may lie in what is not full.
        if (piece.byteOffset + piece.byteLength === piece.buffer.byteLength) giveBack(piece)
      }
    }
  }
  async function unpack(source: AsyncIterable<Uint8Array>): Promise<void> {
    using _ = inbox // A failure here wakes who waits for more.
    for await (const chunk of source) {
      sink.push(bufferOf(tar.take(chunk)))
      await sink.drained()
    }
  }
  const compression = form?.kind === 'file' ? undefined : compressionOf(beginningOf(first ?? []))
  if (form?.kind === 'file') await unpack(framed(form, compressed()))
  else await unpack(compression === undefined ? compressed() : decompressed(compression, compressed()))
  const finish = sink.parsed()
  blob.check()
  if (form === undefined) tar.check()
  return { answer: 'done', usage: await finish(), compressedBytes: blob.sizeBytes() }
}

/** Its first four bytes, however small the first piece is. */
const beginningOf = (pieces: readonly Uint8Array[]): Buffer =>
  Buffer.concat(pieces.map((piece) => piece.subarray(0, 4)))

async function* decompressed(
  compression: Compression,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  using decoder = blockingDecoder(compression)
  for await (const piece of bytes) yield* decoder.decode(piece)
  yield* decoder.finish()
}

/** The tar of a single file. */
async function* framed(
  { path, sizeBytes }: Extract<LayerForm, { kind: 'file' }>,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { head, tail } = tarAround(path, sizeBytes)
  yield head
  yield* content
  yield tail
}

/** Counts and hashes what goes by. */
function verifier(digest: string, limitBytes: number, what: string) {
  const hash = createHash('sha256')
  let sizeBytes = 0
  return {
    take(chunk: Uint8Array): Uint8Array {
      sizeBytes += chunk.byteLength
      if (sizeBytes > limitBytes)
        throw invalidArgument(
          `the ${what} is larger than ${limitBytes} bytes, which image.max_layer_size allows`,
        )
      hash.update(chunk)
      return chunk
    },
    sizeBytes: () => sizeBytes,
    check(): void {
      const found = `sha256:${hash.digest('hex')}`
      if (found === digest) return
      throw invalidArgument(
        `the ${what} has the digest ${found} (${sizeBytes} bytes), it should be ${digest}`,
      )
    },
  }
}

/** What the pool sends: `take` answers undefined at its end, and throws once it is closed or cancelled. */
function inboxOf(port: MessagePort) {
  const queue: ToWorker[] = []
  let wake = (): void => {}
  let isClosed = false
  const close = (): void => {
    isClosed = true
    wake()
  }
  port.on('message', (message: ToWorker) => {
    if (message === 'cancel') return close()
    queue.push(message)
    wake()
  })
  port.on('close', close)
  return {
    async take(): Promise<readonly Uint8Array[] | undefined> {
      while (queue.length === 0 && !isClosed) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
      const message = isClosed ? undefined : queue.shift()
      if (message === undefined || message === 'cancel')
        throw new CriError('cancelled', 'unpacking was cancelled')
      if (message === 'end') return undefined
      const sizeBytes = message.reduce((sum, { byteLength }) => sum + byteLength, 0)
      port.postMessage({ answer: 'taken', sizeBytes } satisfies FromWorker)
      return message
    },
    [Symbol.dispose]: close,
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function failureOf(error: unknown): FromWorker {
  if (error instanceof CriError) return { answer: 'failed', kind: error.kind, message: describeError(error) }
  const code = errnoOf(error) ?? ''
  if (code.startsWith('Z_') || code.startsWith('ZSTD_')) {
    const message = `the blob cannot be decompressed: ${describeError(error)}`
    return { answer: 'failed', kind: 'invalid-argument', message }
  }
  const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'resource-exhausted' : 'internal'
  return { answer: 'failed', kind, message: describeError(error) }
}

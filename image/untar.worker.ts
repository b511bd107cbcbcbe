import { createHash } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type MessagePort, parentPort } from 'node:worker_threads'
import { CriError, describeError, errnoOf, invalidArgument } from '#lib/errors.ts'
import { createDecoder } from './layer-decoder.ts'
import { LayerWriter } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'
import type { FromWorker, ToWorker, UntarRequest } from './untar-messages.ts'

/**
 * The thread that unpacks layers and deletes trees, with synchronous file calls. Several jobs may run at once:
 * one gets on while another waits for its network. Bytes → digest → decompress → diff id → tar → files, in one pass.
 */
if (parentPort === null) throw new Error('this file is a worker')
parentPort.on('message', (request: UntarRequest) => {
  const reply = (message: FromWorker): void => request.port.postMessage(message)
  const work = request.task === 'untar' ? untar(request) : remove(request.path)
  work.then(reply, (error: unknown) => reply(failureOf(error))).finally(() => request.port.close())
})

type Done = Extract<FromWorker, { answer: 'done' }>

async function remove(path: string): Promise<Done> {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  return { answer: 'done', usage: { usedBytes: 0, usedInodes: 0 }, compressedBytes: 0 }
}

async function untar(request: UntarRequest & { task: 'untar' }): Promise<Done> {
  const { port, directory, digest, diffId, limits } = request
  mkdirSync(directory, { mode: 0o755 })
  using writer = new LayerWriter(directory, limits.entries)
  const reader = new TarReader(writer)
  const blob = verifier(digest, Number.POSITIVE_INFINITY, 'blob')
  const tar = verifier(diffId, limits.sizeBytes, 'uncompressed layer')
  const chunks = chunksOf(port)
  const first = await chunks.next()
  const decoder = first.done === true ? undefined : createDecoder(first.value)

  async function* compressed(): AsyncGenerator<Uint8Array> {
    if (first.done !== true) yield blob.take(first.value)
    for await (const chunk of chunks) yield blob.take(chunk)
  }
  const unpack = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of source) {
      reader.push(bufferOf(tar.take(chunk)))
    }
  }
  await (decoder === undefined ? unpack(compressed()) : pipeline(compressed(), decoder, unpack))
  reader.finish()
  blob.check()
  tar.check()
  return { answer: 'done', usage: writer.finish(), compressedBytes: blob.sizeBytes() }
}

/** Counts and hashes what goes by. */
function verifier(digest: string, limitBytes: number, what: string) {
  const hash = createHash('sha256')
  let sizeBytes = 0
  return {
    take(chunk: Uint8Array): Uint8Array {
      sizeBytes += chunk.byteLength
      if (sizeBytes > limitBytes)
        throw invalidArgument(`the ${what} is larger than ${limitBytes} bytes, the limit`)
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

/** What the pool sends, up to its end; throws when the port closes before. */
async function* chunksOf(port: MessagePort): AsyncGenerator<Uint8Array, void> {
  const queue: ToWorker[] = []
  let wake = (): void => {}
  let isClosed = false
  port.on('message', (message: ToWorker) => {
    queue.push(message)
    wake()
  })
  port.on('close', () => {
    isClosed = true
    wake()
  })
  for (;;) {
    const message = queue.shift()
    if (message === 'end') return
    if (message !== undefined) {
      yield message
      port.postMessage({ answer: 'taken' } satisfies FromWorker)
    } else if (isClosed) throw new CriError('cancelled', 'unpacking was cancelled')
    else await new Promise<void>((resolve) => void (wake = resolve))
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function failureOf(error: unknown): FromWorker {
  return { answer: 'failed', kind: kindOf(error), message: describeError(error) }
}

/** What zlib throws is about the blob, what the kernel says about this machine. */
function kindOf(error: unknown): Extract<FromWorker, { answer: 'failed' }>['kind'] {
  if (error instanceof CriError) return error.kind
  const code = errnoOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'resource-exhausted'
  return code?.startsWith('Z_') || code?.startsWith('ZSTD_') ? 'invalid-argument' : 'internal'
}

import { mkdirSync } from 'node:fs'
import { enableVerity } from '#linux/fs-verity.ts'
import { newBlobFile } from './erofs-blob.ts'
import { ErofsLayerWriter } from './erofs-layer-writer.ts'
import type { LayerFormat } from './layer-format.ts'
import { headersFileOf, LayerHeaders } from './layer-headers.ts'
import { type LayerUsage, LayerWriter } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'

/** Takes the tar of a layer, and makes the layer of it. Its end gives up what is open; what was made stays. */
export interface LayerSink extends Disposable {
  push(chunk: Buffer): void
  /** Resolves when not much of what was pushed is still to be written. */
  drained(): Promise<void>
  /** After the last piece: throws when the tar is cut off; the answer makes the layer complete. */
  parsed(): () => LayerUsage | Promise<LayerUsage>
}

export interface LayerSinkOptions {
  /** What is made. */
  readonly directory: string
  readonly format: LayerFormat
  readonly diffId: string
  readonly limits: { readonly entries: number }
}

export function layerSink({ directory, format, diffId, limits }: LayerSinkOptions): LayerSink {
  if (format === 'erofs') {
    const writer = new ErofsLayerWriter(newBlobFile(directory), limits.entries)
    const reader = new TarReader(writer)
    return {
      push(chunk) {
        writer.take(chunk)
        reader.push(chunk)
      },
      drained: async () => {},
      parsed() {
        reader.finish()
        return () => {
          const usage = writer.finish(diffId)
          return { ...usage, verity: enableVerity(directory) }
        }
      },
      [Symbol.dispose]: () => writer[Symbol.dispose](),
    }
  }
  return directorySink(directory, limits.entries)
}

function directorySink(directory: string, entryLimit: number): LayerSink {
  mkdirSync(directory, { mode: 0o755 })
  using open = new DisposableStack()
  const headers = open.use(new LayerHeaders(headersFileOf(directory)))
  const writer = open.use(new LayerWriter(directory, entryLimit, headers))
  const reader = new TarReader(writer)
  const kept = open.move()
  return {
    push: (chunk) => reader.push(chunk),
    drained: () => headers.drained(),
    parsed() {
      reader.finish()
      return async () => {
        const { usedBytes, usedInodes, gaps } = writer.finish()
        return { usedBytes: usedBytes + (await headers.finish()), usedInodes: usedInodes + 1, gaps }
      }
    },
    [Symbol.dispose]: () => kept.dispose(),
  }
}

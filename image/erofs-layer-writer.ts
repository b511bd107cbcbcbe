import { type BlobOutput, ErofsBlob } from './erofs-blob.ts'
import { LayerEntries } from './layer-entries.ts'
import type { LayerGaps } from './layer-gaps.ts'
import type { LayerUsage } from './layer-writer.ts'
import type { TarEntry } from './tar-entry.ts'
import type { TarHandler } from './tar-reader.ts'

/**
 * Makes one file of a layer, in overlayfs's form: its tar as it comes, and behind it EROFS's inodes and directories, which
 * point at the data in the tar, or at files with holes behind them. `take` gets all bytes of the tar, before the reader tells of what is in them.
 */
export class ErofsLayerWriter implements TarHandler, Disposable {
  readonly #blob: ErofsBlob
  readonly #entries: LayerEntries

  constructor(output: BlobOutput, entryLimit: number) {
    this.#blob = new ErofsBlob(output)
    this.#entries = new LayerEntries(entryLimit, (dataAt) => this.#blob.blockOf(dataAt))
  }

  take(chunk: Uint8Array): void {
    this.#blob.tar(chunk)
  }

  entry(entry: TarEntry, dataAt: number): void {
    this.#entries.entry(entry, dataAt)
  }

  /** It is in the blob already. */
  data(): void {}
  end(): void {}

  /** After the last byte. */
  finish(diffId: string): LayerUsage & { readonly gaps: LayerGaps } {
    const uuid = Buffer.from(diffId.replace(/^\w+:/, ''), 'hex')
    const usedBytes = this.#blob.finish(this.#entries, uuid)
    return { usedBytes, usedInodes: 1, gaps: this.#entries.gaps() }
  }

  [Symbol.dispose](): void {
    this.#blob[Symbol.dispose]()
  }
}

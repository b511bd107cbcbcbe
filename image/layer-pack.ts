import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { CriError } from '#lib/errors.ts'
import { type LayerPlace, readLayerTar } from './layer-tar.ts'

export type PackCompression = 'none' | 'gzip'

export interface PackTarget {
  /** A file that is there. */
  readonly path: string
  readonly offset: number
  readonly compression: PackCompression
}

/** A layer's blob as it was written. */
export interface PackedLayer {
  /** Of its tar. */
  readonly diffId: string
  /** Of what was written. */
  readonly digest: string
  readonly sizeBytes: number
}

/** Writes the very tar of a layer into a file, compressed or not. Throws as readLayerTar, and cancelled between two pieces. */
export async function packLayer(
  layer: LayerPlace,
  target: PackTarget,
  isCancelled: () => boolean,
): Promise<PackedLayer> {
  const tar = createHash('sha256')
  const blob = createHash('sha256')
  const fd = openSync(target.path, 'r+')
  let sizeBytes = 0
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const piece of readLayerTar(layer)) {
      if (isCancelled()) throw new CriError('cancelled', 'the export was cancelled')
      tar.update(piece)
      yield piece
    }
  }
  async function write(pieces: AsyncIterable<Buffer>): Promise<void> {
    for await (const piece of pieces) {
      blob.update(piece)
      for (let at = 0; at < piece.length; ) {
        at += writeSync(fd, piece, at, piece.length - at, target.offset + sizeBytes + at)
      }
      sizeBytes += piece.length
    }
  }
  try {
    if (target.compression === 'none') await write(hashed())
    else await pipeline(hashed(), createGzip(), write)
  } finally {
    closeSync(fd)
  }
  return { diffId: `sha256:${tar.digest('hex')}`, digest: `sha256:${blob.digest('hex')}`, sizeBytes }
}

import { createGunzip, createZstdDecompress } from 'node:zlib'

export type Compression = 'gzip' | 'zstd'

/** Bytes as a layer's blob has them → the bytes of its tar. */
export type LayerDecoder = NodeJS.ReadWriteStream

const OUTPUT_CHUNK_BYTES = 256 << 10

/**
 * How the blob that begins with these bytes is compressed; undefined: it is a plain tar. The bytes decide, not
 * the media type: registries hold layers under the wrong one, and the digests are verified either way.
 */
export function compressionOf(firstBytes: Uint8Array): Compression | undefined {
  const length = Math.min(4, firstBytes.byteLength)
  const magic = Buffer.from(firstBytes.buffer, firstBytes.byteOffset, length).toString('hex')
  if (magic.startsWith('1f8b')) return 'gzip'
  // A zstd frame, or one that is to be skipped.
  return magic === '28b52ffd' || /^5.2a4d18$/.test(magic) ? 'zstd' : undefined
}

/** A stream that decompresses what begins with these bytes; undefined where nothing is to be decompressed. */
export function createDecoder(firstBytes: Uint8Array): LayerDecoder | undefined {
  const compression = compressionOf(firstBytes)
  return compression && createStream(compression, OUTPUT_CHUNK_BYTES)
}

export function createStream(compression: Compression, chunkSize: number) {
  // One chunk at a time: what was written is no longer needed once more is asked for.
  const options = { chunkSize, writableHighWaterMark: 1 }
  return compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options)
}

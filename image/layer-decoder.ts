import { createGunzip, createZstdDecompress } from 'node:zlib'

/** Bytes as a layer's blob has them → the bytes of its tar. */
export type LayerDecoder = NodeJS.ReadWriteStream

const OUTPUT_CHUNK_BYTES = 256 << 10
const options = {
  chunkSize: OUTPUT_CHUNK_BYTES,
  // One chunk at a time: what was written is no longer needed once more is asked for.
  writableHighWaterMark: 1,
}

/**
 * How the blob that begins with these bytes is compressed; undefined: it is a plain tar. The bytes decide, not
 * the media type: registries hold layers under the wrong one, and the digests are verified either way.
 */
export function createDecoder(firstBytes: Uint8Array): LayerDecoder | undefined {
  const magic = Buffer.from(
    firstBytes.buffer,
    firstBytes.byteOffset,
    Math.min(4, firstBytes.byteLength),
  ).toString('hex')
  if (magic.startsWith('1f8b')) return createGunzip(options)
  // A zstd frame, or one that is to be skipped.
  if (magic === '28b52ffd' || /^5.2a4d18$/.test(magic)) return createZstdDecompress(options)
  return undefined
}

import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { SpdyError } from './spdy-error.ts'

/** Names are in lower case; several values of one name stand in one string, separated by NUL. Bytes are latin1. */
export type SpdyHeaders = ReadonlyMap<string, string>

const BLOCK_LIMIT_BYTES = 16 * 1024
const NAME_LIMIT = 100
const WINDOW_BYTES = 32 * 1024
/** Most blocks are small: what zlib allocates for each need not be more. */
const CHUNK_BYTES = 1024

/** SPDY/3, 2.6.10.1: words that headers are made of, each with its length before it, then text without lengths. */
const WORDS = `options head post put delete trace accept accept-charset accept-encoding accept-language
  accept-ranges age allow authorization cache-control connection content-base content-encoding
  content-language content-length content-location content-md5 content-range content-type date etag expect
  expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified
  location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te
  trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200|OK
  version HTTP/1.1 url public set-cookie keep-alive origin`

const TEXT = [
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505',
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized',
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable',
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT',
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,',
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
].join('')

export const SPDY_DICTIONARY = Buffer.concat([
  ...WORDS.split(/\s+/).map((word) => sized(word.replace('|', ' '))),
  Buffer.from(TEXT, 'latin1'),
])
/** The Adler-32 of the dictionary, by which a zlib stream names it. */
const DICTIONARY_ID = 0xe3c6a7c2
const ZLIB_PREFIX = Buffer.concat([Buffer.from([0x78, 0xbb]), uint32(DICTIONARY_ID)])

/** What deflate may refer to: the end of the dictionary and of all text so far. */
class Window {
  readonly #bytes = Buffer.alloc(2 * WINDOW_BYTES)
  #length = SPDY_DICTIONARY.copy(this.#bytes)

  get text(): Buffer {
    return this.#bytes.subarray(Math.max(0, this.#length - WINDOW_BYTES), this.#length)
  }

  append(plain: Buffer): void {
    const tail = plain.subarray(-WINDOW_BYTES)
    if (this.#length + tail.length > this.#bytes.length) {
      this.#length = this.text.copy(this.#bytes)
    }
    this.#length += tail.copy(this.#bytes, this.#length)
  }
}

/**
 * Reads the header blocks of one direction of a connection, which are one zlib stream cut at sync flushes:
 * all of them, in order. Throws SpdyError, and is of no use afterwards.
 */
export class HeaderDecompressor {
  readonly #window = new Window()
  #isFirst = true

  decompress(block: Buffer): SpdyHeaders {
    const deflated = this.#isFirst ? withoutPrefix(block) : block
    this.#isFirst = false
    const plain = inflate(deflated, this.#window.text)
    this.#window.append(plain)
    return decodeBlock(plain)
  }
}

/** The other direction: what it makes must be sent in the same order. */
export class HeaderCompressor {
  readonly #window = new Window()
  #isFirst = true

  compress(headers: SpdyHeaders): Buffer {
    const plain = encodeBlock(headers)
    const deflated = deflateRawSync(plain, {
      dictionary: this.#window.text,
      finishFlush: constants.Z_SYNC_FLUSH,
      chunkSize: CHUNK_BYTES,
    })
    this.#window.append(plain)
    const block = this.#isFirst ? Buffer.concat([ZLIB_PREFIX, deflated]) : deflated
    this.#isFirst = false
    return block
  }
}

function withoutPrefix(block: Buffer): Buffer {
  if (block.length < ZLIB_PREFIX.length) throw new SpdyError('the first header block is cut off')
  const isDeflate = (block.readUInt8(0) & 0x0f) === 8 && block.readUInt16BE(0) % 31 === 0
  const hasDictionary = (block.readUInt8(1) & 0x20) !== 0 && block.readUInt32BE(2) === DICTIONARY_ID
  if (!isDeflate || !hasDictionary) {
    throw new SpdyError('the headers are not compressed with the SPDY/3 dictionary')
  }
  return block.subarray(ZLIB_PREFIX.length)
}

function inflate(deflated: Buffer, dictionary: Buffer): Buffer {
  try {
    return inflateRawSync(deflated, {
      dictionary,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: BLOCK_LIMIT_BYTES,
      chunkSize: CHUNK_BYTES,
    })
  } catch (cause) {
    throw new SpdyError(`a header block is broken, or longer than ${BLOCK_LIMIT_BYTES} bytes`, { cause })
  }
}

function decodeBlock(plain: Buffer): SpdyHeaders {
  let at = 0
  const number = (): number => {
    if (at + 4 > plain.length) throw new SpdyError('a header block is cut off')
    at += 4
    return plain.readUInt32BE(at - 4)
  }
  const text = (): string => {
    const length = number()
    if (at + length > plain.length) throw new SpdyError('a header block is cut off')
    at += length
    return plain.toString('latin1', at - length, at)
  }

  const headers = new Map<string, string>()
  const count = number()
  if (count > NAME_LIMIT) throw new SpdyError(`a header block has ${count} names, the limit is ${NAME_LIMIT}`)
  for (let index = 0; index < count; index += 1) {
    const name = text()
    if (name === '' || /[A-Z]/.test(name)) throw new SpdyError('a header name is empty or in upper case')
    if (headers.has(name)) throw new SpdyError('a header name comes twice')
    headers.set(name, text())
  }
  if (at < plain.length) throw new SpdyError('a header block goes on after its last value')
  return headers
}

const encodeBlock = (headers: SpdyHeaders): Buffer =>
  Buffer.concat([
    uint32(headers.size),
    ...[...headers].flatMap(([name, value]) => [sized(name.toLowerCase()), sized(value)]),
  ])

function sized(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([uint32(bytes.length), bytes])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

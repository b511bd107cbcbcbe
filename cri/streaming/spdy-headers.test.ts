import { constants, deflateRawSync, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpdyError } from './spdy-error.ts'
import { HeaderCompressor, HeaderDecompressor, SPDY_DICTIONARY } from './spdy-headers.ts'

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const sized = (text: string): Buffer => Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)])
/** A first block with this as its plain text. */
const zipped = (...plain: Buffer[]): Buffer =>
  deflateSync(Buffer.concat(plain), { dictionary: SPDY_DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH })
const read = (block: Buffer) => new HeaderDecompressor().decompress(block)

test('the dictionary is the one of SPDY/3, by its checksum', () => {
  expect(SPDY_DICTIONARY).toHaveLength(1423)
  expect(zipped(Buffer.from('x')).subarray(2, 6).toString('hex')).toBe('e3c6a7c2')
})

const name = fc.stringMatching(/^[!-@[-~]{1,12}$/)
const value = fc.string({ unit: 'binary-ascii', maxLength: 40 })
const anyHeaders = fc
  .array(fc.tuple(name, value), { maxLength: 12 })
  .map((entries) => new Map<string, string>(entries))

test('what one compressor writes one decompressor reads, block after block', () => {
  fc.assert(
    fc.property(fc.array(anyHeaders, { maxLength: 30 }), (blocks) => {
      const [compressor, decompressor] = [new HeaderCompressor(), new HeaderDecompressor()]
      for (const headers of blocks) {
        expect(decompressor.decompress(compressor.compress(headers))).toEqual(headers)
      }
    }),
  )
})

test('the text before a block may be longer than the window', () => {
  const [compressor, decompressor] = [new HeaderCompressor(), new HeaderDecompressor()]
  for (let index = 0; index < 20; index += 1) {
    const headers = new Map([
      ['noise', Array.from({ length: 1500 }, (_, at) => String((at * 7919 + index) % 1000)).join('')],
      ['same', 'a value that comes again'],
    ])
    expect(decompressor.decompress(compressor.compress(headers))).toEqual(headers)
  }
})

test('a name is sent in lower case', () => {
  expect(read(new HeaderCompressor().compress(new Map([['streamType', 'stdin']])))).toEqual(
    new Map([['streamtype', 'stdin']]),
  )
})

test('several values of a name stand in one string', () => {
  expect(read(zipped(uint32(1), sized('x'), sized('a\0b')))).toEqual(new Map([['x', 'a\0b']]))
})

test.for<[string, Buffer]>([
  ['nothing', Buffer.alloc(0)],
  ['no zlib stream', Buffer.from('00000000000000', 'hex')],
  ['no dictionary', deflateSync('x')],
  ['another dictionary', deflateSync('x', { dictionary: Buffer.from('other') })],
  ['no deflated data', Buffer.concat([zipped(uint32(0)).subarray(0, 6), Buffer.alloc(9, 0xff)])],
  ['a block without text', zipped()],
  ['a block cut off', zipped(uint32(1), sized('x'), sized('value')).subarray(0, -9)],
  ['a value that is not there', zipped(uint32(1), sized('x'))],
  ['a value longer than the block', zipped(uint32(1), sized('x'), uint32(0xffff_ffff))],
  ['more than its names', zipped(uint32(0), sized('x'))],
  ['an empty name', zipped(uint32(1), sized(''), sized('x'))],
  ['a name in upper case', zipped(uint32(1), sized('X'), sized('x'))],
  ['a name twice', zipped(uint32(2), sized('x'), sized('1'), sized('x'), sized('2'))],
  ['too many names', zipped(uint32(0xffff_ffff))],
  ['more than 100 names', new HeaderCompressor().compress(manyNames(101))],
  ['a bomb', zipped(uint32(1), sized('x'), sized('y'.repeat(1 << 24)))],
])('what is no header block is refused: %s', ([, block]) => {
  expect(() => read(block)).toThrow(SpdyError)
})

test('as many names and as much text as is allowed are read', () => {
  expect(read(new HeaderCompressor().compress(manyNames(100))).size).toBe(100)
  const most = 'v'.repeat(16 * 1024 - 4 - 5 - 4)
  expect(read(zipped(uint32(1), sized('x'), sized(most))).get('x')).toBe(most)
  expect(() => read(zipped(uint32(1), sized('x'), sized(`${most}v`)))).toThrow(SpdyError)
})

test('arbitrary bytes are read or refused', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  const deflated = bytes.map((plain) => deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }))
  const prefix = zipped().subarray(0, 6)
  fc.assert(
    fc.property(fc.array(fc.oneof(bytes, deflated), { maxLength: 4 }), (blocks) => {
      const decompressor = new HeaderDecompressor()
      try {
        for (const [index, block] of blocks.entries()) {
          decompressor.decompress(index === 0 ? Buffer.concat([prefix, block]) : block)
        }
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SpdyError)
      }
    }),
  )
})

function manyNames(count: number): Map<string, string> {
  return new Map(Array.from({ length: count }, (_, index) => [`n${index}`, '']))
}

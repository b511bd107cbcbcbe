import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as encode from './spdy-encode.ts'
import { SpdyError } from './spdy-error.ts'
import { type Frame, FrameReader } from './spdy-frames.ts'
import { HeaderCompressor } from './spdy-headers.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** The frames in `pieces`, with the slices of a DATA frame put together. */
function readAll(pieces: readonly Buffer[]): Frame[] {
  const reader = new FrameReader()
  const frames: Frame[] = []
  let data: Buffer[] = []
  for (const piece of pieces) {
    for (const frame of reader.push(piece)) {
      if (frame.type !== 'data') {
        frames.push(frame)
        continue
      }
      data.push(frame.chunk)
      if (!frame.fin) continue
      frames.push({ ...frame, chunk: Buffer.concat(data) })
      data = []
    }
  }
  return frames
}

/** Frames as Go's client sends them, in their order: what it compresses depends on what came before. */
const fromGo: readonly (readonly [string, Frame])[] = [
  [
    '80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff',
    synStream(1, { streamtype: 'error' }),
  ],
  ['800300010000001700000003000000000000c22e555c92929907000000ffff', synStream(3, { streamtype: 'stdin' })],
  [
    '800300010000001900000005000000000000c22ac5565c92925f5a02000000ffff',
    synStream(5, { streamtype: 'stdout' }),
  ],
  [
    '800300010000002f000000070000000000000225630c3950e1940829e78b407982c9c280818181b308922a3241b985c9d008000000ffff',
    synStream(7, { streamtype: 'data', port: '80', requestid: '12' }),
  ],
  [
    '800300080100001300000007821acb58012e9c199200000000ffff',
    { type: 'headers', id: 7, fin: true, headers: new Map([['x', 'a\0b']]) },
  ],
  [
    '000000030000000568656c6c6f0000000301000000',
    { type: 'data', id: 3, chunk: Buffer.from('hello'), fin: true },
  ],
  ['800300060000000400000001', { type: 'ping', id: 1 }],
  ['800300040000000c000000010100000700020000', { type: 'settings', settings: new Map([[7, 131_072]]) }],
  ['80030009000000080000000500001000', { type: 'window-update', id: 5, deltaBytes: 4096 }],
  ['80030003000000080000000500000005', { type: 'rst-stream', id: 5, status: 5 }],
  [
    '800300020000000e000000096260606000000000ffff',
    { type: 'syn-reply', id: 9, fin: false, headers: new Map() },
  ],
  ['80030007000000080000000000000000', { type: 'goaway', lastStreamId: 0, status: 0 }],
]
const goFrames = fromGo.map(([, frame]) => frame)
const goBytes = Buffer.concat(fromGo.map(([bytes]) => hex(bytes)))

test('frames of the Go client are read', () => {
  expect(readAll([goBytes])).toEqual(goFrames)
})

test('frames without headers are written as the Go client writes them', () => {
  const written = [
    encode.encodeDataHead(3, 5, false),
    encode.encodeDataHead(3, 0, true),
    encode.encodePing(1),
    encode.encodeWindowUpdate(5, 4096),
    encode.encodeRstStream(5, 5),
    encode.encodeGoAway(0, 0),
  ]
  for (const bytes of written) expect(goBytes.includes(bytes)).toBe(true)
  expect(readAll([encode.encodeSettings(new Map([[7, 1]]))])).toEqual([
    { type: 'settings', settings: new Map([[7, 1]]) },
  ])
})

test('frames with headers are read as they were written', () => {
  const compressor = new HeaderCompressor()
  const headers = new Map([['streamtype', 'stdout']])
  const bytes = [
    encode.encodeSynStream(11, compressor.compress(headers), { fin: true, unidirectional: true }),
    encode.encodeSynReply(11, compressor.compress(headers)),
    encode.encodeHeaders(11, compressor.compress(headers), { fin: true }),
  ]
  expect(readAll(bytes)).toEqual([
    { type: 'syn-stream', id: 11, fin: true, unidirectional: true, headers },
    { type: 'syn-reply', id: 11, fin: false, headers },
    { type: 'headers', id: 11, fin: true, headers },
  ])
})

test('frames are the same however they are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: goBytes.length }), { maxLength: 60 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), goBytes.length]
      const pieces = at.slice(1).map((end, index) => goBytes.subarray(at[index], end))
      expect(readAll(pieces)).toEqual(goFrames)
    }),
  )
  expect(readAll([...goBytes].map((byte) => Buffer.from([byte])))).toEqual(goFrames)
})

test('data is handed on as it comes, the end with the last of it', () => {
  const reader = new FrameReader()
  const first = Buffer.concat([encode.encodeDataHead(1, 5, true), Buffer.from('he')])
  expect([...reader.push(first)]).toEqual([{ type: 'data', id: 1, chunk: Buffer.from('he'), fin: false }])
  expect([...reader.push(Buffer.from('llo'))]).toEqual([
    { type: 'data', id: 1, chunk: Buffer.from('llo'), fin: true },
  ])
})

test.for<[string, string]>([
  ['an older version', '800200060000000400000001'],
  ['an unknown type', '800300050000000400000001'],
  ['a control frame over 64 KiB', '8003000400010001'],
  ['a SYN_STREAM without fields', '8003000100000009'],
  ['a SYN_STREAM without headers', '800300010000000a00000001000000000000'],
  ['a PING that is too long', '8003000600000008'],
  ['a PING of nothing', '800300060000000400000000'],
  ['an RST_STREAM that is too short', '8003000300000004'],
  ['an RST_STREAM without a status', '80030003000000080000000100000000'],
  ['an RST_STREAM of no stream', '80030003000000080000000000000001'],
  ['data of no stream', '0000000000000000'],
  ['a SYN_STREAM of no stream', '800300010000001300000000000000000000782000000000000000'],
  ['a WINDOW_UPDATE by nothing', '80030009000000080000000180000000'],
  ['SETTINGS that are fewer than they say', '8003000400000004ffffffff'],
  ['SETTINGS that are more than they say', '800300040000000c000000000000000700000001'],
])('what is no frame is refused: %s', ([, bytes]) => {
  expect(() => readAll([hex(bytes)])).toThrow(SpdyError)
})

test('arbitrary bytes are frames or refused', () => {
  const bytes = fc.uint8Array({ maxLength: 100 })
  const control = fc
    .tuple(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 255 }), bytes)
    .map(([type, flags, body]) => Buffer.from([0x80, 3, 0, type, flags, 0, 0, body.length, ...body]))
  fc.assert(
    fc.property(fc.array(fc.oneof(bytes.map(Buffer.from), control)), (pieces) => {
      try {
        readAll(pieces as Buffer[])
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SpdyError)
      }
    }),
    { numRuns: 1000 },
  )
})

function synStream(id: number, headers: { [name: string]: string }): Frame {
  return {
    type: 'syn-stream',
    id,
    fin: false,
    unidirectional: false,
    headers: new Map(Object.entries(headers)),
  }
}

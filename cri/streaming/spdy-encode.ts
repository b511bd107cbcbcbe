import { controlType, flag, HEAD_BYTES, VERSION } from './spdy-frames.ts'

export interface StreamFlags {
  readonly fin?: boolean
  readonly unidirectional?: boolean
}

/** The block of a frame with headers comes from the connection's HeaderCompressor, in the order of sending. */
export function encodeSynStream(id: number, block: Buffer, flags: StreamFlags = {}): Buffer {
  const fields = Buffer.alloc(10)
  fields.writeUInt32BE(id)
  return control(controlType.synStream, bits(flags), fields, block)
}

export const encodeSynReply = (id: number, block: Buffer, flags: StreamFlags = {}): Buffer =>
  control(controlType.synReply, bits(flags), uint32s(id), block)

export const encodeHeaders = (id: number, block: Buffer, flags: StreamFlags = {}): Buffer =>
  control(controlType.headers, bits(flags), uint32s(id), block)

export const encodeRstStream = (id: number, status: number): Buffer =>
  control(controlType.rstStream, 0, uint32s(id, status))

export const encodeSettings = (settings: ReadonlyMap<number, number>): Buffer =>
  control(controlType.settings, 0, uint32s(settings.size, ...[...settings].flat()))

export const encodePing = (id: number): Buffer => control(controlType.ping, 0, uint32s(id))

export const encodeGoAway = (lastStreamId: number, status: number): Buffer =>
  control(controlType.goAway, 0, uint32s(lastStreamId, status))

export const encodeWindowUpdate = (id: number, deltaBytes: number): Buffer =>
  control(controlType.windowUpdate, 0, uint32s(id, deltaBytes))

/** What stands before the data of a DATA frame. */
export function encodeDataHead(id: number, lengthBytes: number, fin: boolean): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt32BE(id)
  head.writeUInt32BE(lengthBytes, 4)
  if (fin) head.writeUInt8(flag.fin, 4)
  return head
}

function control(type: number, flags: number, ...body: Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt16BE(0x8000 | VERSION)
  head.writeUInt16BE(type, 2)
  const frame = Buffer.concat([head, ...body])
  frame.writeUInt32BE(frame.length - HEAD_BYTES, 4)
  frame.writeUInt8(flags, 4)
  return frame
}

const bits = ({ fin = false, unidirectional = false }: StreamFlags): number =>
  (fin ? flag.fin : 0) | (unidirectional ? flag.unidirectional : 0)

function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

import { invalidArgument } from '#lib/errors.ts'

/** A block of a tar as it stands there (POSIX ustar, GNU, v7). Text is bytes in latin1: names need not be UTF-8. */
export interface TarHeader {
  readonly name: string
  /** The type flag: '0' file, '1' hard link, '2' symbolic link, '3' 'b' … 'x' PAX, 'L' 'K' GNU long names. */
  readonly flag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the data that follows; of types that have none, as it was written. */
  readonly sizeBytes: number
  readonly mtimeSeconds: number
  readonly linkName: string
  readonly major: number
  readonly minor: number
}

export const BLOCK_SIZE = 512

/** Throws invalid-argument for what is no header. `block` is 512 bytes. */
export function parseTarHeader(block: Buffer): TarHeader {
  checkSum(block)
  const magic = block.toString('latin1', 257, 265)
  const hasDevice = magic.startsWith('ustar')
  const prefix = magic.startsWith('ustar\0') ? text(block, 345, 155) : ''
  const name = text(block, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    flag: block[156] === 0 ? '0' : block.toString('latin1', 156, 157),
    mode: headerNumber(block, 'mode', 100, 8) & 0o7777,
    uid: headerNumber(block, 'uid', 108, 8),
    gid: headerNumber(block, 'gid', 116, 8),
    sizeBytes: headerNumber(block, 'size', 124, 12),
    mtimeSeconds: headerNumber(block, 'mtime', 136, 12),
    linkName: text(block, 157, 100),
    major: hasDevice ? headerNumber(block, 'devmajor', 329, 8) : 0,
    minor: hasDevice ? headerNumber(block, 'devminor', 337, 8) : 0,
  }
}

/** Records of a PAX extended header, `LENGTH KEY=VALUE\n`: keys in latin1, values as bytes. */
export function parsePaxRecords(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  const map: Buffer[] = []
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const digits = space < 0 ? '' : content.toString('latin1', at, space)
    const end = at + Number(digits)
    const equals = content.indexOf(0x3d, space)
    const isWhole = /^[1-9][0-9]{0,8}$/.test(digits) && end <= content.length && content[end - 1] === 0x0a
    if (!isWhole || equals < 0 || equals >= end) throw invalidArgument('broken PAX header in the tar')
    const key = content.toString('latin1', space + 1, equals)
    const value = content.subarray(equals + 1, end - 1)
    // Sparse files of PAX 0.0 have records of one key for each piece: here as those of 0.1, in one.
    if (/^GNU\.sparse\.(offset|numbytes)$/.test(key)) map.push(COMMA, value)
    else records.set(key, value)
    at = end
  }
  if (map.length > 0) records.set('GNU.sparse.map', Buffer.concat(map.slice(1)))
  return records
}

const COMMA = Buffer.from(',')

/** Up to the first NUL. */
function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return block.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length))
}

/** Octal digits, or with the top bit set a big-endian number (GNU). Throws invalid-argument, which names the field. */
export function headerNumber(block: Buffer, field: string, at: number, length: number): number {
  if (((block[at] ?? 0) & 0x80) !== 0) return binaryNumber(block.subarray(at, at + length), field)
  const digits = text(block, at, length).trim()
  if (!/^[0-7]*$/.test(digits)) throw invalidArgument(`broken tar header: ${field} is "${digits}"`)
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function binaryNumber(bytes: Buffer, field: string): number {
  const unsigned = BigInt(`0x${bytes.toString('hex')}`)
  const width = BigInt(bytes.length * 8)
  // The top bit marks the form; the one below it is the sign.
  const value = Number(BigInt.asIntN(Number(width) - 1, unsigned))
  if (!Number.isSafeInteger(value)) throw invalidArgument(`broken tar header: ${field} is too large`)
  return value
}

/** The sum of all bytes with the sum's own field as spaces; some old writers added signed bytes. */
function checkSum(block: Buffer): void {
  let unsigned = 8 * 0x20
  let high = 0
  for (let at = 0; at < BLOCK_SIZE; at += 1) {
    if (at >= 148 && at < 156) continue
    const byte = block[at] ?? 0
    unsigned += byte
    if (byte >= 0x80) high += 1
  }
  const written = headerNumber(block, 'checksum', 148, 8)
  if (written !== unsigned && written !== unsigned - 256 * high) {
    throw invalidArgument('no tar header where one must be: the checksum is wrong')
  }
}

const BLOCK_BYTES = 512
const LONGEST_NAME = 100
/** Eleven octal digits. */
const LARGEST_OCTAL = 8 ** 11 - 1

/** What stands before and behind a file's bytes in a tar that holds it alone: root's, and for all to read. */
export function tarAround(path: string, sizeBytes: number): { readonly head: Buffer; readonly tail: Buffer } {
  const padding = (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES
  const records = [
    ...(Buffer.byteLength(path) > LONGEST_NAME ? [paxRecord('path', path)] : []),
    ...(sizeBytes > LARGEST_OCTAL ? [paxRecord('size', `${sizeBytes}`)] : []),
  ]
  const extended = Buffer.concat(records)
  const before =
    extended.length === 0
      ? []
      : [
          header('pax', 'x', extended.length),
          extended,
          Buffer.alloc((BLOCK_BYTES - (extended.length % BLOCK_BYTES)) % BLOCK_BYTES),
        ]
  return {
    head: Buffer.concat([...before, header(path, '0', Math.min(sizeBytes, LARGEST_OCTAL))]),
    tail: Buffer.alloc(padding + 2 * BLOCK_BYTES),
  }
}

/** ustar: POSIX.1-1988, and 2001 for what stands in records. */
function header(path: string, type: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  Buffer.from(path).copy(block, 0, 0, LONGEST_NAME)
  block.write(octal(0o644, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(sizeBytes, 11), 124)
  block.write(octal(0, 11), 136)
  block.write(' '.repeat(8), 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return block
}

/** `LENGTH KEY=VALUE\n`, the length being that of all of it. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`)
  let length = rest.length
  while (length !== rest.length + `${length}`.length) length = rest.length + `${length}`.length
  return Buffer.concat([Buffer.from(`${length}`), rest])
}

const BLOCK_BYTES = 512
const LONGEST_NAME = 100
/** Eleven octal digits. */
const LARGEST_OCTAL = 8 ** 11 - 1

/** What stands before and behind a file's bytes in a tar of it and the directories that it lies in: root's, for all to read. */
export function tarAround(path: string, sizeBytes: number): { readonly head: Buffer; readonly tail: Buffer } {
  const parents = path.split('/').map((_, index, parts) => `${parts.slice(0, index).join('/')}/`)
  const directories = parents.slice(1).flatMap((parent) => entry(parent, '5', 0, 0o755))
  return {
    head: Buffer.concat([...directories, ...entry(path, '0', sizeBytes, 0o644)]),
    tail: Buffer.alloc(paddingOf(sizeBytes) + 2 * BLOCK_BYTES),
  }
}

/** A header, behind another one for what does not fit into it (POSIX.1-2001). */
function entry(path: string, type: string, sizeBytes: number, mode: number): readonly Buffer[] {
  const records = Buffer.concat([
    ...(Buffer.byteLength(path) > LONGEST_NAME ? [paxRecord('path', path)] : []),
    ...(sizeBytes > LARGEST_OCTAL ? [paxRecord('size', `${sizeBytes}`)] : []),
  ])
  const own = header(path, type, Math.min(sizeBytes, LARGEST_OCTAL), mode)
  if (records.length === 0) return [own]
  return [header('pax', 'x', records.length, 0o644), records, Buffer.alloc(paddingOf(records.length)), own]
}

const paddingOf = (sizeBytes: number): number => (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES

/** ustar, POSIX.1-1988. */
function header(path: string, type: string, sizeBytes: number, mode: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  Buffer.from(path).copy(block, 0, 0, LONGEST_NAME)
  block.write(octal(mode, 7), 100)
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

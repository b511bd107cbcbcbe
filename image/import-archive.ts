import { constants } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CriError, invalidArgument } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import { readable } from '#linux/overlay-files.ts'
import { createDecoder } from './layer-decoder.ts'
import { componentsOf } from './layer-path.ts'
import type { TarEntry } from './tar-entry.ts'
import { BLOCK_SIZE } from './tar-header.ts'
import { TarReader } from './tar-reader.ts'

/** A tar on disk of which any file can be read, without reading the others. Its messages name the archive. */
export interface Archive extends AsyncDisposable {
  readonly path: string
  has(name: string): boolean
  sizeOf(name: string): number
  /** Small files. Throws failed-precondition when it is missing or over 8 MiB, or all that was read is over 64 MiB. */
  read(name: string): Promise<Buffer>
  /** The same of any size, in pieces. */
  stream(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>
}

interface Place {
  readonly offset: number
  readonly sizeBytes: number
}

const SMALL_FILE_LIMIT_BYTES = 8 << 20
/** Of those that describe images, which are all kept until the last is imported. */
const SMALL_FILES_LIMIT_BYTES = 64 << 20
const ENTRY_LIMIT = 100_000
const NAMES_LIMIT_BYTES = 16 << 20
const LINK_LIMIT = 8
const wholeFile: Place = { offset: 0, sizeBytes: Number.POSITIVE_INFINITY }

/**
 * Opens a tar, plain or compressed by gzip or zstd; a compressed one is first unpacked into a file
 * of `temporaryDirectory` that nobody sees. Throws invalid-argument when it is no tar.
 */
export async function openArchive(
  path: string,
  temporaryDirectory: string,
  signal: AbortSignal,
): Promise<Archive> {
  await using files = new AsyncDisposableStack()
  const handle = files.use(await openFile(path))
  const first = Buffer.alloc(4)
  await handle.read(first, 0, first.length, 0)
  const decoder = createDecoder(first)
  const plain =
    decoder === undefined
      ? handle
      : files.use(await unpacked(handle, path, decoder, temporaryDirectory, signal))
  const index = await indexOf(plain, path, signal)
  const keep = files.move()
  let smallBytes = 0

  const find = (name: string): Place => {
    const place = index.get(name)
    if (place === undefined)
      throw new CriError('failed-precondition', `archive ${path} lacks ${name}: it is not whole`)
    return place
  }
  return {
    path,
    has: (name) => index.has(name),
    sizeOf: (name) => find(name).sizeBytes,

    async read(name) {
      const { offset, sizeBytes } = find(name)
      if (sizeBytes > SMALL_FILE_LIMIT_BYTES) {
        throw new CriError(
          'failed-precondition',
          `${name} in archive ${path} is ${sizeBytes} bytes long, over 8 MiB`,
        )
      }
      smallBytes += sizeBytes
      if (smallBytes > SMALL_FILES_LIMIT_BYTES) {
        throw new CriError(
          'failed-precondition',
          `archive ${path} describes its images in more than ${SMALL_FILES_LIMIT_BYTES >> 20} MiB`,
        )
      }
      const content = Buffer.alloc(sizeBytes)
      await plain.read(content, 0, sizeBytes, offset)
      return content
    },

    stream: (name, stop) => readRange(plain, find(name), stop),

    [Symbol.asyncDispose]: () => keep.disposeAsync(),
  }
}

/** Without waiting for a pipe's other end, or for a device. */
async function openFile(path: string): Promise<FileHandle> {
  const opened = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw invalidArgument(`archive ${path} cannot be opened`, { cause })
  })
  if ((await opened.stat()).isFile()) return opened
  await opened.close()
  throw invalidArgument(`archive ${path} is no ordinary file: give the path of a tar`)
}

/** The caller's name of the file goes at once; the disk space goes with the handle. */
async function unpacked(
  handle: FileHandle,
  path: string,
  decoder: NodeJS.ReadWriteStream,
  directory: string,
  signal: AbortSignal,
): Promise<FileHandle> {
  const name = join(directory, `import-${newId().slice(0, 16)}`)
  const target = await open(name, 'wx+', 0o600)
  try {
    await unlink(name)
    await pipeline(
      readRange(handle, wholeFile, signal),
      decoder,
      async (pieces: AsyncIterable<Uint8Array>) => {
        for await (const piece of pieces) await target.writeFile(piece) // On from where it stands.
      },
    )
    return target
  } catch (cause) {
    await target.close()
    signal.throwIfAborted()
    throw invalidArgument(`archive ${path} cannot be decompressed`, { cause })
  }
}

async function indexOf(
  handle: FileHandle,
  path: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Place>> {
  const { size } = await handle.stat()
  const places = new Map<string, Place>()
  const links = new Map<string, string>()
  let position = 0
  const count = counter()
  const reader = new TarReader({
    entry: (entry) => {
      const name = componentsOf(entry.name).join('/')
      const target = linkTarget(name, entry)
      count(name, target)
      if (target !== undefined) links.set(name, target)
      else if (entry.sparse !== undefined) throw invalidArgument(`${readable(name)} in it is a sparse file`)
      else if (entry.type === 'file') {
        const offset = position + BLOCK_SIZE
        if (offset + entry.sizeBytes > size) throw invalidArgument(`it is cut off inside ${readable(name)}`)
        places.set(readable(name), { offset, sizeBytes: entry.sizeBytes })
      }
    },
    data: () => {},
    end: () => {},
  })
  const block = Buffer.alloc(BLOCK_SIZE)
  try {
    while (!reader.ended && position < size) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(block, 0, BLOCK_SIZE, position)
      reader.push(block.subarray(0, bytesRead))
      position += bytesRead + reader.skippableBytes
      reader.skip()
    }
    reader.finish()
  } catch (cause) {
    signal.throwIfAborted()
    throw invalidArgument(`${path} is not an image archive: a tar is wanted, plain or by gzip or zstd`, {
      cause,
    })
  }
  for (const name of links.keys()) {
    const place = follow(name, links, places)
    if (place !== undefined) places.set(readable(name), place)
  }
  return places
}

/** Throws invalid-argument for too many files, or names that would fill the memory. */
function counter(): (name: string, target: string | undefined) => void {
  let entries = 0
  let nameBytes = 0
  return (name, target = '') => {
    entries += 1
    nameBytes += name.length + target.length
    if (entries > ENTRY_LIMIT) throw invalidArgument(`it has more than ${ENTRY_LIMIT} files`)
    if (nameBytes > NAMES_LIMIT_BYTES)
      throw invalidArgument(`the names in it take more than ${NAMES_LIMIT_BYTES >> 20} MiB`)
  }
}

/** Old versions of `docker save` write a layer that occurs twice as a link. */
function linkTarget(name: string, entry: TarEntry): string | undefined {
  if (entry.type === 'hard-link') return componentsOf(entry.linkName).join('/')
  if (entry.type !== 'symbolic-link') return undefined
  return componentsOf(`${name}/../${entry.linkName}`).join('/')
}

function follow(
  name: string,
  links: ReadonlyMap<string, string>,
  places: ReadonlyMap<string, Place>,
): Place | undefined {
  let at: string | undefined = name
  for (let step = 0; step < LINK_LIMIT && at !== undefined && links.has(at); step += 1) at = links.get(at)
  return at === undefined ? undefined : places.get(readable(at))
}

const PIECE_BYTES = 256 << 10

/** By position: many may read one file at once. */
async function* readRange(
  handle: FileHandle,
  { offset, sizeBytes }: Place,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; ) {
    signal.throwIfAborted()
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, sizeBytes - at))
    const { bytesRead } = await handle.read(piece, 0, piece.length, offset + at)
    if (bytesRead === 0) return
    yield piece.subarray(0, bytesRead)
    at += bytesRead
  }
}

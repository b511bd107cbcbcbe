import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { CriError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import { BLOCK_SIZE } from './tar-header.ts'

/** A tar that is being written, under another name until it is whole. Not finished, it leaves nothing. */
export interface ArchiveWriter extends AsyncDisposable {
  add(name: string, content: Buffer): Promise<void>
  /** A file whose name and size are known when it is written: `write` does that, into this file at that offset. */
  place<Written extends { readonly name: string; readonly sizeBytes: number }>(
    write: (path: string, offset: number) => Promise<Written>,
  ): Promise<Written>
  /** Puts it in its place. Throws failed-precondition when what is there by then is no ordinary file. */
  finish(): Promise<void>
}

const END = Buffer.alloc(2 * BLOCK_SIZE)

/** Throws failed-precondition with the path when nothing can be written there, or what is there is no ordinary file. */
export async function createArchive(path: string): Promise<ArchiveWriter> {
  await checkGoal(path)
  const unfinished = `${path}.${newId().slice(0, 12)}`
  const handle = await openNew(unfinished, path)
  let end = 0
  let isOpen = true
  const write = (content: Buffer, at: number) => writeAll(handle, content, at)

  async function place<Written extends { readonly name: string; readonly sizeBytes: number }>(
    fill: (path: string, offset: number) => Promise<Written>,
  ): Promise<Written> {
    // By descriptor: in a directory of somebody else's, another file may have the name meanwhile.
    const written = await fill(`/proc/self/fd/${handle.fd}`, end + BLOCK_SIZE)
    await write(headerOf(written.name, written.sizeBytes), end)
    // What is not written of the last block is a hole, and reads as zeros: the next header or the end is behind it.
    end += BLOCK_SIZE + Math.ceil(written.sizeBytes / BLOCK_SIZE) * BLOCK_SIZE
    return written
  }
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return {
    place,
    async add(name, content) {
      await place(async (_path, offset) => {
        await write(content, offset)
        return { name, sizeBytes: content.length }
      })
    },
    async finish() {
      await write(END, end)
      await handle.sync()
      await close()
      await checkGoal(path)
      await rename(unfinished, path)
    },
    async [Symbol.asyncDispose]() {
      await close()
      await rm(unfinished, { force: true })
    },
  }
}

/** A device or a link must not be replaced; a path that cannot be looked up, opening tells of. */
async function checkGoal(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there === undefined || there.isFile()) return
  throw new CriError(
    'failed-precondition',
    `archive ${path} is there and no ordinary file: give another path`,
  )
}

async function openNew(unfinished: string, path: string): Promise<FileHandle> {
  try {
    return await open(unfinished, 'wx', 0o600)
  } catch (cause) {
    throw new CriError('failed-precondition', `archive ${path} cannot be written`, { cause })
  }
}

async function writeAll(handle: FileHandle, content: Buffer, at: number): Promise<void> {
  for (let done = 0; done < content.length; ) {
    done += (await handle.write(content, done, content.length - done, at + done)).bytesWritten
  }
}

/** Of an ordinary file in ustar's form, readable for all, of 1970: one image makes the same archive every time. */
function headerOf(name: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE)
  const octal = (value: number, at: number, length: number): void =>
    void block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  block.write(name, 0, 100, 'latin1')
  octal(0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  if (sizeBytes < 8 ** 11) octal(sizeBytes, 124, 12)
  else {
    block[124] = 0x80 // Binary, as GNU and all others have it.
    block.writeBigUInt64BE(BigInt(sizeBytes), 128)
  }
  octal(0, 136, 12)
  block.write('0', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  block.fill(' ', 148, 156)
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  return block
}

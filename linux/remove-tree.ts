import { randomBytes } from 'node:crypto'
import { closeSync, constants, type Dir, opendirSync, openSync, rmdirSync, unlinkSync } from 'node:fs'
import koffi from 'koffi'
import { errnoOf } from '#lib/errors.ts'
import { SystemError } from './libc.ts'
import { readable } from './overlay-files.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  openat2: libc.func('long syscall(long number, long dirfd, const void *path, void *how, size_t size)'),
  unlinkat: libc.func('int unlinkat(int dirfd, const void *path, int flags)'),
  close: libc.func('int close(int fd)'),
  renameat: libc.func('int renameat(int from, const void *path, int to, const void *target)'),
}
const SYS_OPENAT2 = 437
const RESOLVE_NO_XDEV = 0x01n
const AT_REMOVEDIR = 0x200
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
const O_CLOEXEC = 0o2000000
const READ_AT_ONCE = 256
/** Names of directories that are remembered, all together: the others are read again. */
const NAME_LIMIT = 10_000
/** As many directories are open at once. */
const DEPTH_LIMIT = 100
/** Of a mount point, itself and what is in it. */
const BUSY = ['EBUSY', 'EXDEV']
const BUSY_TRIES = 3
const BUSY_PAUSE_MS = 100

interface OpenDirectory {
  readonly fd: number
  readonly name: string
  /** Directories in it that are to be gone into. */
  readonly names: string[]
  /** All that is in it was seen. */
  isRead: boolean
  /** Since it was opened. */
  removed: number
  /** Something in it stays. */
  isFailed: boolean
}

/**
 * Deletes a file or a tree, whatever the names in it are, of any depth and length; none is fine. Links are not followed,
 * mounts in it are not entered, even if somebody moves its directories meanwhile. What cannot be deleted is gone past, and
 * the first failure thrown at the end; `stop` is called before each entry, and ends it by what it throws. Synchronous.
 */
export function removeTree(path: string | Buffer, stop: () => void = () => {}): void {
  for (let tries = 1; ; tries += 1) {
    const failure = new TreeRemoval(stop).remove(path)
    if (failure === undefined) return
    if (!BUSY.includes(errnoOf(failure) ?? '') || tries > BUSY_TRIES) throw failure
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS * tries)
  }
}

class TreeRemoval {
  readonly #stop: () => void
  /** From the root to where we are. */
  readonly #open: OpenDirectory[] = []
  #names = 0
  #failure: Error | undefined

  constructor(stop: () => void) {
    this.#stop = stop
  }

  /** Answers the first failure. */
  remove(path: string | Buffer): Error | undefined {
    this.#stop()
    try {
      const fd = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      this.#push(fd, '')
    } catch (error) {
      if (['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) unlinkSync(path)
      else if (errnoOf(error) !== 'ENOENT') throw error
      return undefined
    }
    try {
      this.#walk()
      if (this.#failure === undefined) rmdirSync(path)
      return this.#failure
    } finally {
      for (const at of this.#open) close(at)
    }
  }

  #walk(): void {
    for (let at = this.#open.at(-1); at !== undefined; at = this.#open.at(-1)) {
      const name = at.names.pop()
      if (name !== undefined) {
        this.#names -= 1
        this.#enter(at, name)
      } else if (!at.isRead) this.#read(at)
      else this.#leave(at)
    }
  }

  /** Deletes what is no directory. */
  #read(at: OpenDirectory): void {
    const { removed } = at
    using entries: Dir = opendirSync(`/proc/self/fd/${at.fd}`, {
      encoding: 'latin1',
      bufferSize: READ_AT_ONCE,
    })
    at.isRead = true
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      this.#stop()
      if (!entry.isDirectory() && this.#unlink(at, entry.name)) continue
      at.names.push(entry.name)
      this.#names += 1
      at.isRead = this.#names < NAME_LIMIT
      if (!at.isRead) break
    }
    // One that is read again and again must have less in it each time.
    if (at.isFailed && at.removed === removed) at.isRead = true
  }

  /** False when it is a directory. */
  #unlink(at: OpenDirectory, name: string): boolean {
    const code = this.#call('unlinkat', name, natives.unlinkat(at.fd, terminated(name), 0))
    if (code === 'EISDIR') return false
    this.#note(at, code)
    return true
  }

  #enter(at: OpenDirectory, name: string): void {
    this.#stop()
    if (this.#open.length < DEPTH_LIMIT) {
      const fd = openBelow(at.fd, name)
      if (typeof fd === 'number') this.#push(fd, name)
      else if (fd.code !== 'ENOENT') this.#fail(at, fd)
      return
    }
    // It goes to the root, and what is above it can be deleted.
    const [root] = this.#open
    if (root === undefined) return
    const nearer = randomBytes(8).toString('hex')
    const moved = natives.renameat(at.fd, Buffer.from(terminated(name)), root.fd, terminated(nearer))
    this.#note(at, this.#call('renameat', name, moved))
    if (moved !== 0) return
    root.names.push(nearer)
    this.#names += 1
  }

  #leave(at: OpenDirectory): void {
    this.#open.pop()
    close(at)
    const parent = this.#open.at(-1)
    if (parent === undefined) return
    if (at.isFailed) {
      parent.isFailed = true
      return
    }
    const code = this.#call(
      'unlinkat',
      at.name,
      natives.unlinkat(parent.fd, terminated(at.name), AT_REMOVEDIR),
    )
    // It was written to, or not read whole.
    if (code === 'ENOTEMPTY' && at.removed > 0) {
      parent.names.push(at.name)
      this.#names += 1
    } else this.#note(parent, code)
  }

  #push(fd: number, name: string): void {
    this.#open.push({ fd, name, names: [], isRead: false, removed: 0, isFailed: false })
  }

  #lastFailure: SystemError | undefined

  /** The code of what failed. */
  #call(syscall: string, name: string, result: number): string | undefined {
    if (result === 0) return undefined
    this.#lastFailure = new SystemError(syscall, readable(name), koffi.errno())
    return this.#lastFailure.code
  }

  #note(at: OpenDirectory, code: string | undefined): void {
    if (code === undefined) at.removed += 1
    else if (code !== 'ENOENT' && this.#lastFailure !== undefined) this.#fail(at, this.#lastFailure)
  }

  #fail(at: OpenDirectory, failure: SystemError): void {
    at.isFailed = true
    this.#failure ??= failure
  }
}

/** By whom it was opened: a worker of Node's knows its own alone. */
function close({ fd, name }: OpenDirectory): void {
  if (name === '') closeSync(fd)
  else natives.close(fd)
}

function openBelow(directory: number, name: string): number | SystemError {
  const how = Buffer.alloc(24) // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0)
  how.writeBigUInt64LE(RESOLVE_NO_XDEV, 16)
  const fd = Number(natives.openat2(SYS_OPENAT2, directory, terminated(name), how, how.length))
  return fd >= 0 ? fd : new SystemError('openat2', readable(name), koffi.errno())
}

/** One buffer for all names: the kernel has copied it when a call returns. */
const buffer = Buffer.alloc(4096)
function terminated(name: string): Buffer {
  buffer[buffer.write(name, 'latin1')] = 0
  return buffer
}

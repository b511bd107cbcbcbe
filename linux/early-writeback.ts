import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const syncFileRange = libc.func(
  'int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)',
)

const SYNC_FILE_RANGE_WRITE = 2
const STRIDE_BYTES = 8 << 20

/**
 * Has the kernel begin to write a big file to the disk while more of it comes, which it otherwise puts off until somebody
 * waits for it. Nothing is waited for, and nothing is promised: who needs it on the disk syncs as before.
 */
export class EarlyWriteback {
  #writtenBytes = 0
  #begunBytes = 0

  /** To be called for what was written behind what went before. */
  wrote(fd: number, bytes: number): void {
    this.#writtenBytes += bytes
    const waiting = this.#writtenBytes - this.#begunBytes
    if (waiting < STRIDE_BYTES) return
    // Where the file system has no such call the sync at the end does all of it.
    syncFileRange(fd, this.#begunBytes, waiting, SYNC_FILE_RANGE_WRITE)
    this.#begunBytes = this.#writtenBytes
  }

  /** The next that is written is the beginning of another file. */
  next(): void {
    this.#writtenBytes = 0
    this.#begunBytes = 0
  }
}

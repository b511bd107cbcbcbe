import { closeSync, openSync, statfsSync } from 'node:fs'
import koffi from 'koffi'
import { SystemError } from './libc.ts'

/** fs-verity (Linux 5.4; ext4, f2fs and btrfs): a file becomes immutable, and the kernel checks what is read of it. */
const libc = koffi.load('libc.so.6')
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)')

const FS_IOC_ENABLE_VERITY = 0x4080_6685
const FS_IOC_MEASURE_VERITY = 0xc004_6686
const SHA256 = 1
/** Of what is hashed: no more than a block of the file system. */
const BLOCK_BYTES = 4096

/** Reads the whole file, which nobody may have open for writing; answers its digest, undefined where there is no fs-verity. */
export function enableVerity(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const request = Buffer.alloc(128) // struct fsverity_enable_arg: version, hash, block size, no salt, no signature
    request.writeUInt32LE(1, 0)
    request.writeUInt32LE(SHA256, 4)
    request.writeUInt32LE(Math.min(BLOCK_BYTES, statfsSync(path).bsize), 8)
    if (ioctl(fd, FS_IOC_ENABLE_VERITY, request) !== 0) {
      const failure = new SystemError('FS_IOC_ENABLE_VERITY', path, koffi.errno())
      if (['EOPNOTSUPP', 'ENOTSUP', 'ENOTTY'].includes(failure.code)) return undefined
      throw failure
    }
    return measureVerity(fd)
  } finally {
    closeSync(fd)
  }
}

/** What the kernel holds a file's bytes to, `sha256:…`; undefined when it has no fs-verity. */
export function measureVerity(fd: number): string | undefined {
  const answer = Buffer.alloc(4 + 64) // struct fsverity_digest: algorithm, size, digest
  answer.writeUInt16LE(64, 2)
  if (ioctl(fd, FS_IOC_MEASURE_VERITY, answer) !== 0) {
    const failure = new SystemError('FS_IOC_MEASURE_VERITY', `fd ${fd}`, koffi.errno())
    if (['ENODATA', 'EOPNOTSUPP', 'ENOTSUP', 'ENOTTY'].includes(failure.code)) return undefined
    throw failure
  }
  return `sha256:${answer.toString('hex', 4, 4 + answer.readUInt16LE(2))}`
}

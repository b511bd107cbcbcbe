import { closeSync, openSync, statfsSync } from 'node:fs'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)')

const EXT4_MAGIC = 0xef53
const FS_IOC_GETFLAGS = 0x8008_6601
const FS_IOC_SETFLAGS = 0x4008_6602
const FS_TOPDIR_FL = 0x0002_0000

/**
 * Has ext4 give each new directory in this one a part of the disk of its own, as it does for those in its root
 * (chattr +T): trees that know nothing of each other then do not share, and search, the same inode tables. Other file
 * systems have no such mark, and where it cannot be set nothing is lost but time: it answers whether it is set.
 */
export function spreadDirectories(directory: string): boolean {
  if (statfsSync(directory).type !== EXT4_MAGIC) return false
  const fd = openSync(directory, 'r')
  try {
    const flags = Buffer.alloc(8)
    if (ioctl(fd, FS_IOC_GETFLAGS, flags) !== 0) return false
    flags.writeUInt32LE((flags.readUInt32LE() | FS_TOPDIR_FL) >>> 0)
    return ioctl(fd, FS_IOC_SETFLAGS, flags) === 0
  } finally {
    closeSync(fd)
  }
}

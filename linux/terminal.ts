import { closeSync, openSync, readlinkSync } from 'node:fs'
import koffi from 'koffi'
import type { TerminalSize } from '#runtime/monitor-port.ts'
import { openPidfd, SystemError } from './libc.ts'
import { namesIn } from './names-in.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  ioctlNumber: libc.func('ioctl', 'int', ['int', 'unsigned long', 'long']),
  syscall3: libc.func('long syscall(long number, long a, long b, long c)'),
  getAttributes: libc.func('int tcgetattr(int fd, void *attributes)'),
  setAttributes: libc.func('int tcsetattr(int fd, int actions, void *attributes)'),
  makeRaw: libc.func('void cfmakeraw(void *attributes)'),
}
const TIOCSPTLCK = 0x40045431
const TIOCGPTPEER = 0x5441
const TIOCSWINSZ = 0x5414
const O_RDWR_NOCTTY_CLOEXEC = 0o2 | 0o400 | 0o2000000
const TERMIOS_SIZE = 60
const SYS_PIDFD_GETFD = 438

/** A pseudoterminal; each end is closed by whom it is given to. */
export interface Terminal {
  /** Our end. */
  readonly controller: number
  /** The program's end, raw: what is typed before the program has set it up is echoed once, by the program's own. */
  readonly peer: number
}

/** Opens a pty without a path: it works whatever is mounted on /dev/pts. */
export function openTerminal(): Terminal {
  const controller = openSync('/dev/ptmx', 'r+')
  try {
    check(natives.ioctl(controller, TIOCSPTLCK, Buffer.alloc(4)), 'TIOCSPTLCK')
    const peer = check(natives.ioctlNumber(controller, TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC), 'TIOCGPTPEER')
    const attributes = Buffer.alloc(TERMIOS_SIZE)
    check(natives.getAttributes(peer, attributes), 'tcgetattr')
    natives.makeRaw(attributes)
    check(natives.setAttributes(peer, 0, attributes), 'tcsetattr')
    return { controller, peer }
  } catch (error) {
    closeSync(controller)
    throw error
  }
}

/** Takes the end of a terminal that is gone for no failure. */
export function setTerminalSize(controller: number, { columns, rows }: TerminalSize): void {
  const size = Buffer.alloc(8) // struct winsize: rows, columns, pixels
  size.writeUInt16LE(rows, 0)
  size.writeUInt16LE(columns, 2)
  natives.ioctl(controller, TIOCSWINSZ, size)
}

/**
 * The same for the terminals that a process of ours holds: an OCI runtime makes one in the container and passes bytes
 * between it and the one it was given, and not each (crun) passes on a later size.
 */
export function setTerminalSizesOf(pid: number, size: TerminalSize): void {
  const fds = namesIn(`/proc/${pid}/fd`).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`).endsWith('ptmx'))
  const pidfd = fds.length === 0 ? undefined : openPidfd(pid)
  if (pidfd === undefined) return
  for (const fd of fds) {
    const copy = Number(natives.syscall3(SYS_PIDFD_GETFD, pidfd, Number(fd), 0))
    if (copy < 0) continue // It has just closed it.
    setTerminalSize(copy, size)
    closeSync(copy)
  }
  closeSync(pidfd)
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // It has just been closed.
  }
}

function check(result: number, what: string): number {
  if (result === -1) throw new SystemError('ioctl', what, koffi.errno())
  return result
}

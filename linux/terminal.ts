import { closeSync, constants, openSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { Writable } from 'node:stream'
import koffi from 'koffi'
import type { TerminalSize } from '#runtime/monitor-port.ts'
import { SystemError } from './libc.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  ioctlNumber: libc.func('ioctl', 'int', ['int', 'unsigned long', 'long']),
  fcntl: libc.func('int fcntl(int fd, int command, int flags)'),
  write: libc.func('long write(int fd, void *buffer, size_t size)'),
  getAttributes: libc.func('int tcgetattr(int fd, void *attributes)'),
  setAttributes: libc.func('int tcsetattr(int fd, int actions, void *attributes)'),
  makeRaw: libc.func('void cfmakeraw(void *attributes)'),
}
const TIOCSPTLCK = 0x40045431
const TIOCGPTPEER = 0x5441
const TIOCSWINSZ = 0x5414
const O_RDWR_NOCTTY_CLOEXEC = 0o2 | 0o400 | 0o2000000
const TERMIOS_SIZE = 60
const F_SETFL = 4
const { EAGAIN, EINTR } = osConstants.errno
/** How long a full terminal is left before it is tried again: at first, and at most. */
const RETRY_MS = [1, 100] as const

/** A pseudoterminal; each end is closed by whom it is given to. */
export interface Terminal {
  /** Our end. */
  readonly controller: number
  /** The program's end. */
  readonly peer: number
}

/** Opens a pty without a path: it works whatever is mounted on /dev/pts. */
export function openTerminal(): Terminal {
  const controller = openSync('/dev/ptmx', 'r+')
  try {
    check(natives.ioctl(controller, TIOCSPTLCK, Buffer.alloc(4)), 'TIOCSPTLCK')
    const peer = check(natives.ioctlNumber(controller, TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC), 'TIOCGPTPEER')
    return { controller, peer }
  } catch (error) {
    closeSync(controller)
    throw error
  }
}

/** Makes a terminal pass on what comes as it is: it echoes nothing, and no character means a signal. */
export function makeRaw(peer: number): void {
  const attributes = Buffer.alloc(TERMIOS_SIZE)
  check(natives.getAttributes(peer, attributes), 'tcgetattr')
  natives.makeRaw(attributes)
  check(natives.setAttributes(peer, 0, attributes), 'tcsetattr')
}

/**
 * What is typed at a terminal. Node writes to our end of one blocking: a command that does not read what it is sent would
 * stop the whole process. Here it stops who types. The descriptor stays its owner's, who destroys this before he closes it.
 */
export function typingAt(controller: number): Writable {
  check(natives.fcntl(controller, F_SETFL, constants.O_RDWR | constants.O_NONBLOCK), 'F_SETFL')
  let retry: NodeJS.Timeout | undefined
  return new Writable({
    write(data: Buffer, _encoding, done) {
      const go = (from: number, waitMs: number): void => {
        try {
          const written = from + writeSome(controller, data.subarray(from))
          const nextMs = written > from ? RETRY_MS[0] : Math.min(waitMs * 2, RETRY_MS[1])
          if (written === data.length) done()
          else retry = setTimeout(go, waitMs, written, nextMs)
        } catch (error) {
          done(error as Error)
        }
      }
      go(0, RETRY_MS[0])
    },
    destroy(error, done) {
      clearTimeout(retry)
      done(error)
    },
  })
}

/** How much the terminal has taken; 0 while it is full. */
function writeSome(controller: number, data: Buffer): number {
  const count = Number(natives.write(controller, data, data.length))
  if (count >= 0) return count
  const errno = koffi.errno()
  if (errno === EAGAIN || errno === EINTR) return 0
  throw new SystemError('write', 'terminal', errno)
}

/** Takes the end of a terminal that is gone for no failure. */
export function setTerminalSize(controller: number, { columns, rows }: TerminalSize): void {
  const size = Buffer.alloc(8) // struct winsize: rows, columns, pixels
  size.writeUInt16LE(rows, 0)
  size.writeUInt16LE(columns, 2)
  natives.ioctl(controller, TIOCSWINSZ, size)
}

function check(result: number, what: string): number {
  if (result === -1) throw new SystemError('ioctl', what, koffi.errno())
  return result
}

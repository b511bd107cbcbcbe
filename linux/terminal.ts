import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import type { TerminalSize } from '#runtime/monitor-port.ts'
import { SystemError } from './libc.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  ioctlNumber: libc.func('ioctl', 'int', ['int', 'unsigned long', 'long']),
  getAttributes: libc.func('int tcgetattr(int fd, void *attributes)'),
  setAttributes: libc.func('int tcsetattr(int fd, int actions, void *attributes)'),
  makeRaw: libc.func('void cfmakeraw(void *attributes)'),
}
const TIOCSPTLCK = 0x40045431
const TIOCGPTPEER = 0x5441
const TIOCSWINSZ = 0x5414
const O_RDWR_NOCTTY_CLOEXEC = 0o2 | 0o400 | 0o2000000
const TERMIOS_SIZE = 60

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

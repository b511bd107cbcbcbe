import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import koffi from 'koffi'
import { openSeqpacket, receivePacket, sendPacket, unixAddress } from './seqpacket.ts'

const libc = koffi.load('libc.so.6')
const bind = libc.func('int bind(int fd, void *address, unsigned int length)')
const listen = libc.func('int listen(int fd, int backlog)')
const accept4 = libc.func('int accept4(int fd, void *address, void *length, int flags)')
const recv = libc.func('long recv(int fd, void *buffer, size_t size, int flags)')
const MSG_PEEK_DONTWAIT = 0x2 | 0x40
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000

export interface FakeConnection {
  /** False when it has to wait for the client. */
  send(stream: number, data: Uint8Array): boolean
  /** Undefined when nothing has come yet, empty at the end. */
  receive(): Buffer | undefined
  hasUnread(): boolean
  close(): void
}

/** For tests: a monitor's attach socket in a bundle directory of its own, which does what conmon never would. */
export function fakeMonitor({ backlog = 10 }: { readonly backlog?: number } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-attach-'))
  // Longer than the address of a socket may be.
  const bundle = join(directory, 'a'.repeat(100), 'b'.repeat(100))
  mkdirSync(bundle, { recursive: true })
  const fd = openSeqpacket()
  const open = new Set([fd])
  bindIn(bundle, fd)
  const close = (each: number): void => {
    if (open.delete(each)) closeSync(each)
  }
  return {
    bundle,
    /** Until then connections are refused. */
    listen: (): void => check(listen(fd, backlog)),
    accept(): FakeConnection {
      const connection = accept4(fd, null, null, SOCK_NONBLOCK_CLOEXEC)
      if (connection < 0) throw new Error('nobody has connected')
      open.add(connection)
      return {
        send: (stream, data) => sendPacket(connection, Buffer.concat([Buffer.of(stream), data])) === 'sent',
        receive() {
          const buffer = Buffer.alloc(64 << 10)
          const sizeBytes = receivePacket(connection, buffer)
          return sizeBytes === undefined ? undefined : buffer.subarray(0, sizeBytes)
        },
        hasUnread: () => Number(recv(connection, Buffer.alloc(1), 1, MSG_PEEK_DONTWAIT)) > 0,
        close: () => close(connection),
      }
    },
    [Symbol.dispose](): void {
      for (const each of open) close(each)
      rmSync(directory, { recursive: true })
    },
  }
}

function bindIn(directory: string, fd: number): void {
  const directoryFd = openSync(directory, 'r')
  const address = unixAddress(`/proc/self/fd/${directoryFd}/attach`)
  check(bind(fd, address, address.length))
  closeSync(directoryFd)
}

function check(result: number): void {
  if (result !== 0) throw new Error(`fake monitor: errno ${koffi.errno()}`)
}

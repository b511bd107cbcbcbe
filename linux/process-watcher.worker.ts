import { closeSync } from 'node:fs'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import type { Exit, WatcherMessage, WatcherRequest } from './process-watcher.ts'

/**
 * Sleeps in poll(2) on the pidfds of everything the daemon waits for. The main thread rings `doorbell`
 * (an eventfd) after it has posted a request; a readable pidfd is a process that has ended.
 */
const libc = koffi.load('libc.so.6')
const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)')
const waitid = libc.func('int waitid(int type, int id, void *info, int options)')
const read = libc.func('long read(int fd, void *buffer, size_t count)')
const POLLIN = 1
const P_PIDFD = 3
const WNOHANG_WEXITED = 1 | 4
const CLD_EXITED = 1

if (parentPort === null) throw new Error('this file is a worker')
const port = parentPort
const { doorbell } = workerData as { doorbell: number }
const watched = new Map<number, number>() // token → pidfd

for (let running = true; running; ) {
  const tokens = [...watched.keys()]
  const set = Buffer.alloc(8 * (tokens.length + 1)) // struct pollfd: fd, events, revents
  set.writeInt32LE(doorbell, 0)
  set.writeInt16LE(POLLIN, 4)
  tokens.forEach((token, index) => {
    set.writeInt32LE(watched.get(token) ?? -1, 8 * (index + 1))
    set.writeInt16LE(POLLIN, 8 * (index + 1) + 4)
  })
  poll(set, tokens.length + 1, -1)
  if (set.readInt16LE(6) !== 0) running = takeRequests()
  tokens.forEach((token, index) => {
    if (set.readInt16LE(8 * (index + 1) + 6) !== 0) report(token)
  })
}
for (const pidfd of watched.values()) closeSync(pidfd)

function takeRequests(): boolean {
  read(doorbell, Buffer.alloc(8), 8)
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    const request = next.message as WatcherRequest
    if (request === 'end') return false
    watched.set(request.token, request.pidfd)
  }
  return true
}

/** A child is reaped here, and its status told; of a process that is not ours only its end is known. */
function report(token: number): void {
  const pidfd = watched.get(token)
  if (pidfd === undefined) return
  watched.delete(token)
  const info = Buffer.alloc(128) // siginfo_t: code at 8, status at 24
  const isChild = waitid(P_PIDFD, pidfd, info, WNOHANG_WEXITED) === 0
  closeSync(pidfd)
  const status = info.readInt32LE(24)
  const exit: Exit | undefined = !isChild
    ? undefined
    : info.readInt32LE(8) === CLD_EXITED
      ? { exitCode: status }
      : { exitCode: 128 + status, signal: status }
  port.postMessage({ token, exit } satisfies WatcherMessage)
}

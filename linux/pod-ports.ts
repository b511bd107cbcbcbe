import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { CriError, describeError, errnoOf } from '#lib/errors.ts'
import type { PodPorts } from '#runtime/pod-ports-port.ts'
import { inNetwork } from './enter-namespaces.ts'
import { streamSocket } from './libc.ts'

/** A name of localhost may be served on either family; servers of both answer on the first. */
const LOOPBACKS = [
  { family: 4, host: '127.0.0.1' },
  { family: 6, host: '::1' },
] as const
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Connects to ports inside network namespaces. A socket stays in the namespace in which it is made: only that call is
 * made there, and no helper process is needed.
 */
export function createPodPorts(timeoutMs = CONNECT_TIMEOUT_MS): PodPorts {
  return {
    async connect(netnsPath, port) {
      const failures: unknown[] = []
      for (const { family, host } of LOOPBACKS) {
        if (!failures.every(meansNobody)) break
        const make = (): number => streamSocket(family)
        try {
          const fd = netnsPath === undefined ? make() : inNetwork(netnsPath, make)
          return await connected(fd, host, port, timeoutMs)
        } catch (error) {
          failures.push(error)
        }
      }
      const remedy = 'start a server in the pod that listens on this port of localhost or of all addresses'
      throw new CriError('unavailable', `port ${port}: ${failures.map(describeError).join('; ')}: ${remedy}`)
    },
  }
}

/** Also a host without IPv6 has nobody there. */
const meansNobody = (failure: unknown): boolean =>
  ['ECONNREFUSED', 'EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(errnoOf(failure) ?? '')

function connected(fd: number, host: string, port: number, timeoutMs: number): Promise<Socket> {
  const socket = open(fd)
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const timer = setTimeout(() => {
    socket.destroy(new Error(`connect ${host}:${port}: no answer within ${timeoutMs / 1000} s`))
  }, timeoutMs)
  socket.once('error', reject)
  socket.once('close', () => clearTimeout(timer))
  socket.once('connect', () => {
    clearTimeout(timer)
    socket.off('error', reject)
    resolve(socket)
  })
  socket.connect({ host, port })
  return promise
}

/** Not read from before it is connected: that is what `manualStart` is for. */
function open(fd: number): Socket {
  try {
    const options = { fd, allowHalfOpen: true, manualStart: true }
    return new Socket(options)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

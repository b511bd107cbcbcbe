import type { WebSocket } from 'ws'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { type Connect, forward } from './forward.ts'
import { WebSocketChannels } from './websocket-channels.ts'

/**
 * Port-forward over WebSocket: one connection for each port, its data on channel 2n and what went wrong with it on
 * channel 2n+1; each of the two begins with the port, 16 bits, little-endian.
 */
export async function websocketPortForward(
  socket: WebSocket,
  ports: readonly number[],
  connect: Connect,
  log: Log,
): Promise<void> {
  const channels = new WebSocketChannels(
    socket,
    ports.length * 2,
    ports.map((_, index) => index * 2),
  )
  await Promise.all(ports.map((port, index) => serve(port, index)))
  await channels.close()

  async function serve(port: number, index: number): Promise<void> {
    const [data, error] = [channels.channel(index * 2), channels.channel(index * 2 + 1)]
    const opening = Buffer.alloc(2)
    opening.writeUInt16LE(port)
    data.write(opening)
    error.write(opening)
    try {
      await forward(data, await connect(port), true)
      error.end()
    } catch (failure) {
      const err = describeError(failure)
      log.info({ port, err }, 'a connection to a port of a pod failed')
      error.end(`error forwarding port ${port}: ${err}`)
    }
  }
}

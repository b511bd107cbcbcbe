import type { WebSocket } from 'ws'
import type { CommandChannels, WantedStreams } from './command-session.ts'
import { terminalSizes } from './terminal-sizes.ts'
import { WebSocketChannels } from './websocket-channels.ts'

const [STDIN, STDOUT, STDERR, ERROR, RESIZE] = [0, 1, 2, 3, 4] as const

/** Exec and attach over WebSocket: each stream has its number. */
export function websocketCommand(socket: WebSocket, wanted: WantedStreams): CommandChannels {
  const readable = wanted.stdin ? [STDIN, RESIZE] : [RESIZE]
  const channels = new WebSocketChannels(socket, RESIZE + 1, readable)
  const error = channels.channel(ERROR)
  const stdout = wanted.stdout ? channels.channel(STDOUT) : undefined
  const stderr = wanted.stderr ? channels.channel(STDERR) : undefined
  // An empty message tells the client that it is served.
  channels.sendEmpty(wanted.stdout ? STDOUT : wanted.stderr ? STDERR : ERROR)
  return {
    protocol: socket.protocol,
    streams: {
      stdin: wanted.stdin ? channels.channel(STDIN) : undefined,
      stdout,
      stderr,
      onResize: terminalSizes(channels.channel(RESIZE)),
    },
    error,
    hearsOutcomeFirst: false,
    gone: channels.gone,
    close: () => channels.close(),
  }
}

import { CriError } from '#lib/errors.ts'
import type { CommandChannels, WantedStreams } from './command-session.ts'
import { hasResize } from './protocols.ts'
import type { SpdyConnection, SpdyOptions } from './spdy-connection.ts'
import type { SpdyStream } from './spdy-stream.ts'
import { terminalSizes } from './terminal-sizes.ts'

/** How long a client may take to open its streams. */
const CREATION_TIMEOUT_MS = 30_000

type Name = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize'

/**
 * Exec and attach over SPDY: the client opens a stream of each type that it has asked for. Throws deadline-exceeded
 * when it does not, cancelled when it goes before.
 */
export async function spdyCommand(
  connect: (options: Pick<SpdyOptions, 'onStream'>) => SpdyConnection,
  protocol: string,
  wanted: WantedStreams,
  timeoutMs = CREATION_TIMEOUT_MS,
): Promise<CommandChannels> {
  const names = wantedNames(wanted, protocol)
  const streams = new Map<Name, SpdyStream>()
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>()
  const connection = connect({
    onStream(stream) {
      const name = names.find((each) => each === stream.headers.get('streamtype'))
      if (name === undefined || streams.has(name)) return false
      streams.set(name, stream)
      if (streams.size === names.length) resolve()
      return true
    },
  })
  const timer = setTimeout(() => {
    const missing = names.filter((name) => !streams.has(name)).join(', ')
    reject(new CriError('deadline-exceeded', `the client did not open its streams ${missing} in time`))
  }, timeoutMs)
  const leave = (): void => reject(new CriError('cancelled', 'the client went before it opened its streams'))
  connection.gone.addEventListener('abort', leave)
  if (connection.gone.aborted) leave()
  try {
    await complete
  } catch (failure) {
    connection.destroy()
    throw failure
  } finally {
    clearTimeout(timer)
    connection.gone.removeEventListener('abort', leave)
  }
  return channelsOf(connection, protocol, streams)
}

function wantedNames(wanted: WantedStreams, protocol: string): readonly Name[] {
  return [
    'error',
    ...(['stdin', 'stdout', 'stderr'] as const).filter((name) => wanted[name]),
    ...(wanted.tty && hasResize(protocol) ? (['resize'] as const) : []),
  ]
}

function channelsOf(
  connection: SpdyConnection,
  protocol: string,
  streams: ReadonlyMap<Name, SpdyStream>,
): CommandChannels {
  const error = streams.get('error')
  if (error === undefined) throw new Error('there is no error stream')
  const stdin = streams.get('stdin')
  // Clients of the first version take our end of their input for the beginning of the session.
  if (protocol === 'channel.k8s.io') stdin?.end()
  error.resume()
  streams.get('stdout')?.resume()
  streams.get('stderr')?.resume()
  return {
    protocol,
    streams: {
      stdin,
      stdout: streams.get('stdout'),
      stderr: streams.get('stderr'),
      onResize: terminalSizes(streams.get('resize')),
    },
    error,
    hearsOutcomeFirst: protocol === 'channel.k8s.io',
    gone: connection.gone,
    close: () => connection.close(),
  }
}

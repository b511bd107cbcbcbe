import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { goProgram } from '#test/fixtures/built.ts'

/** What it prints at its end: hack/stream-client/result.go. */
export interface StreamResult {
  /** Of the remote process, where the protocol told it. */
  readonly exitCode: number | null
  readonly error: string
  /** raw-websocket: the chosen subprotocol, the code of the close frame, what came on which channel. */
  readonly protocol?: string
  readonly closeCode?: number
  readonly channels?: { readonly [channel: string]: ChannelCount }
  readonly stdinBytes: number
  readonly stdoutBytes: number
  readonly stderrBytes: number
  readonly elapsedMs: number
  readonly firstByteMs?: number
}

interface ChannelCount {
  readonly messages: number
  readonly bytes: number
  readonly firstBytes: number
}

export interface StreamOptions {
  /** `spdy` unless given. */
  readonly transport?: 'spdy' | 'websocket' | 'raw-websocket'
  /** The only subprotocol to offer; without it those of kubectl, by raw-websocket none. */
  readonly protocol?: string
  /** The streams to ask for, which must be those of the CRI call: stdout and stderr unless given. */
  readonly streams?: readonly ('stdin' | 'stdout' | 'stderr')[]
  /** In place of the program's own: a file's path. */
  readonly stdinFile?: string
  readonly stdoutFile?: string
  readonly tty?: boolean
  /** COLSxROWS; the second is sent once there is output. */
  readonly size?: string
  readonly resizeTo?: string
  /** Further arguments: `--ca FILE`, `--tls-insecure`, `--stdin-limit BYTES`. */
  readonly args?: readonly string[]
}

export type Ended = StreamResult & { readonly stdout: Buffer; readonly stderr: Buffer }

/** A running client; `await using` kills it if it still runs. */
export interface StreamProcess extends AsyncDisposable {
  readonly stdin: Writable
  readonly pid: number
  /** What has come so far. */
  stdout(): Buffer
  readonly ended: Promise<Ended>
}

export const streamClientPath = (): string => goProgram('stream-client')

/** Exec or attach to its end, with `input` as all of stdin. */
export async function runStream(
  command: 'exec' | 'attach',
  url: string,
  options: StreamOptions & { readonly input?: string | Buffer } = {},
): Promise<Ended> {
  const { input, ...others } = options
  const streams = others.streams ?? [...(input === undefined ? [] : ['stdin' as const]), 'stdout', 'stderr']
  await using client = openStream(command, url, { ...others, streams })
  client.stdin.end(input)
  return await client.ended
}

/** Starts it: the caller writes stdin and ends it. */
export const openStream = (
  command: 'exec' | 'attach',
  url: string,
  options: StreamOptions = {},
): StreamProcess => startStreamClient([command, '--url', url, ...argumentsOf(options)])

export interface PortForward extends AsyncDisposable {
  /** The local port of a remote one. */
  port(remote: number): number
  /** Its end: by disposal, or when the connection to the runtime is lost. */
  readonly ended: Promise<Ended>
}

/** As `kubectl port-forward` to these ports, on 127.0.0.1; `await using` ends it. */
export async function forwardPorts(
  url: string,
  remote: readonly number[],
  { transport = 'spdy', args = [] }: Pick<StreamOptions, 'transport' | 'args'> = {},
): Promise<PortForward> {
  const ports = remote.map((port) => `0:${port}`).join(',')
  const client = startStreamClient([
    'port-forward',
    '--url',
    url,
    '--transport',
    transport,
    '--ports',
    ports,
    ...args,
  ])
  const early = await Promise.race([client.ready, client.ended])
  if (early !== undefined) throw new Error(`port-forward: ${early.error}`)
  const { ports: pairs } = JSON.parse(client.stdout().toString()) as {
    ports: readonly { local: number; remote: number }[]
  }
  return {
    port(wanted) {
      const pair = pairs.find((each) => each.remote === wanted)
      if (pair === undefined) throw new Error(`port ${wanted} is not forwarded`)
      return pair.local
    },
    ended: client.ended,
    async [Symbol.asyncDispose]() {
      client.stdin.end()
      await client.ended
    },
  }
}

/** Kubelet's own port-forward over a WebSocket: `input` to the first port, and what came back until its end. */
export async function forwardRaw(
  url: string,
  remote: readonly number[],
  { input, ...options }: StreamOptions & { readonly input?: string | Buffer } = {},
): Promise<Ended> {
  const streams = ['stdin', 'stdout'] as const
  const asked = argumentsOf({ transport: 'raw-websocket', streams, ...options })
  await using client = startStreamClient([
    'port-forward',
    '--url',
    url,
    '--ports',
    remote.join(','),
    ...asked,
  ])
  client.stdin.end(input)
  return await client.ended
}

function argumentsOf(options: StreamOptions): readonly string[] {
  const streams = options.streams ?? ['stdout', 'stderr']
  const stream = (name: 'stdin' | 'stdout' | 'stderr', file = '-'): readonly string[] =>
    streams.includes(name) ? [`--${name}`, file] : []
  const flag = (name: string, value: string | undefined): readonly string[] =>
    value === undefined ? [] : [`--${name}`, value]
  return [
    ...flag('transport', options.transport),
    ...flag('protocol', options.protocol),
    ...stream('stdin', options.stdinFile),
    ...stream('stdout', options.stdoutFile),
    ...stream('stderr'),
    ...(options.tty ? ['--tty'] : []),
    ...flag('size', options.size),
    ...flag('resize-to', options.resizeTo),
    ...(options.args ?? []),
  ]
}

/** Runs it with any arguments; `ready` comes with its first line of stdout. */
export function startStreamClient(
  args: readonly string[],
): StreamProcess & { readonly ready: Promise<void> } {
  const child = spawn(streamClientPath(), args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  const err: Buffer[] = []
  const ready = Promise.withResolvers<void>()
  child.stdout.on('data', (chunk: Buffer) => {
    out.push(chunk)
    if (chunk.includes('\n')) ready.resolve()
  })
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => {}) // It may end before it has read all.
  const closed = once(child, 'close')
  const ended = closed.then(([code]): Ended => {
    const stderr = Buffer.concat(err)
    if (code !== 0) throw new Error(`stream-client ${args[0]}: ${code ?? child.signalCode}: ${stderr}`)
    const line = stderr.toString().trimEnd().split('\n').at(-1) ?? ''
    const result = JSON.parse(line) as StreamResult
    return { ...result, stdout: Buffer.concat(out), stderr: stderr.subarray(0, result.stderrBytes) }
  })
  ended.catch(() => {}) // Who waits for it sees it.
  return {
    stdin: child.stdin,
    pid: child.pid ?? 0,
    stdout: () => Buffer.concat(out),
    ended,
    ready: ready.promise,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await closed
    },
  }
}

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  CommandStreams,
  ContainerMonitor,
  MonitoredContainer,
  MonitorRequest,
  Observation,
  TerminalSize,
} from '#runtime/monitor-port.ts'
import type { AttachSockets } from './attach-sockets.ts'

/** For tests: a client with streams in memory. */
export interface AttachClient {
  readonly streams: CommandStreams
  /** Of a client without an input it leads nowhere. */
  readonly stdin: PassThrough
  readonly signal: AbortSignal
  leave(): void
  resize(size: TerminalSize): void
  /** What it has read so far. */
  out(): Buffer
  err(): Buffer
}

interface ClientOptions {
  readonly stdin?: boolean
  readonly tty?: boolean
  /** False: it reads nothing of its output. */
  readonly reads?: boolean
  readonly size?: TerminalSize
}

export function attachClient({ stdin, tty, reads = true, size }: ClientOptions = {}): AttachClient {
  const [input, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const [out, err] = [stdout, stderr].map((stream) => (reads ? gather(stream) : () => Buffer.alloc(0)))
  const aborter = new AbortController()
  let listener: ((size: TerminalSize) => void) | undefined
  return {
    stdin: input,
    signal: aborter.signal,
    leave: () => aborter.abort(),
    resize: (now) => listener?.(now),
    out: () => out?.() ?? Buffer.alloc(0),
    err: () => err?.() ?? Buffer.alloc(0),
    streams: {
      stdin: stdin === true ? input : undefined,
      stdout,
      stderr: tty === true ? undefined : stderr,
      onResize(onSize) {
        listener = onSize
        if (size !== undefined) onSize(size)
      },
    },
  }
}

function gather(stream: Readable): () => Buffer {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks)
}

/** What is used of the monitor's lab. */
interface Lab {
  readonly directory: string
  readonly request: (handler: string, script: string) => MonitorRequest
  create(request: MonitorRequest): Promise<MonitoredContainer>
  monitor(): Pick<ContainerMonitor, 'start' | 'ended' | 'observe' | 'signal' | 'remove'>
  log(container: { readonly id: string }): string
}

interface Input {
  readonly tty?: boolean
  readonly stdin?: boolean
  readonly stdinOnce?: boolean
}

/** A container to be attached to. */
interface Attachable extends Required<Input>, MonitoredContainer {}

/** For tests: containers of the real monitor, and clients that are attached to them. */
export function attachLab(lab: Lab) {
  const attachUnseen = (sockets: AttachSockets, container: Attachable, client: AttachClient) => {
    const { id, tty, stdin, stdinOnce } = container
    const { streams, signal } = client
    return sockets.attach({ id, tty, stdin, stdinOnce, streams, signal }, bundleIn(lab.directory, id))
  }
  return {
    /** It runs once `start` is called. */
    async create(handler: string, script: string, input: Input = {}) {
      const { ociSpec, ...request } = { ...lab.request(handler, script), ...input }
      const { process } = ociSpec as { readonly process: object }
      const spec = { ...ociSpec, process: { ...process, terminal: request.tty } }
      const container = await lab.create({ ...request, ociSpec: spec })
      return {
        ...container,
        ...{ tty: request.tty, stdin: request.stdin, stdinOnce: request.stdinOnce },
        start: () => lab.monitor().start(container.id, handler),
        exit: () => exitOf(lab, container),
        /** What the log says that it has written. */
        logged: (stream: 'stdout' | 'stderr') => loggedBy(lab.log(container), stream),
        kill: () => lab.monitor().signal(container, 9, true),
        remove: () => lab.monitor().remove(container.id, handler),
      }
    },
    /** Resolves once the monitor has the connection: from then on nothing that the container writes is missed. */
    async attach(sockets: AttachSockets, container: Attachable, client: AttachClient) {
      const { pid } = container.monitor
      const before = socketsOf(pid)
      const done = attachUnseen(sockets, container, client)
      done.catch(() => {}) // Whoever gets it looks at it.
      while (socketsOf(pid) <= before) await sleep(1)
      return { done }
    },
    /** Does not wait until the monitor has the connection. */
    attachUnseen,
    /** Makes a file that a script of a container waits for. */
    touch: (name: string) => writeFileSync(join(lab.directory, 'rootfs/tmp', name), ''),
  }
}

export const bundleIn = (directory: string, id: string): string => join(directory, 'containers', id, 'bundle')

export const waitFor = (name: string): string => `while [ ! -e /tmp/${name} ]; do sleep 0.01; done`

async function exitOf(lab: Lab, container: MonitoredContainer): Promise<Observation> {
  for (;;) {
    await lab.monitor().ended(container)
    const observed = await lab.monitor().observe(container)
    if (observed.seen !== 'alive' && observed.seen !== 'exiting') return observed
  }
}

/** Lines `TIME STREAM F TEXT`; with P a line goes on in the next of its stream. */
function loggedBy(log: string, stream: string): Buffer {
  const mark = ` ${stream} `
  const parts = log.split('\n').flatMap((line) => {
    const at = line.indexOf(' ')
    if (!line.startsWith(mark, at)) return []
    const text = line.slice(at + mark.length + 2)
    return line[at + mark.length] === 'F' ? [text, '\n'] : [text]
  })
  return Buffer.from(parts.join(''))
}

export const socketsOf = (pid: number): number =>
  descriptorsOf(pid).filter((to) => to.startsWith('socket:')).length

export function descriptorsOf(pid: number | 'self'): readonly string[] {
  const directory = `/proc/${pid}/fd`
  return readdirSync(directory).flatMap((fd) => {
    try {
      return [readlinkSync(join(directory, fd))]
    } catch {
      return [] // It was closed meanwhile.
    }
  })
}

/** Of this process: those that serve attachments. */
export const attachThreads = (): number =>
  readdirSync('/proc/self/task').filter((task) => nameOf(task) === 'attach').length

function nameOf(task: string): string {
  try {
    return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()
  } catch {
    return '' // It has ended meanwhile.
  }
}

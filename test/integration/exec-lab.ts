import { PassThrough } from 'node:stream'
import type { CommandStreams, MonitoredContainer, TerminalSize } from '#runtime/monitor-port.ts'
import { handlers, type MonitorLab, monitorLab } from './monitor-lab.ts'

/** A container for each handler, in which commands are run on a client's streams. */
export async function execLab() {
  const lab: MonitorLab = monitorLab()
  const containers = new Map<string, MonitoredContainer>()
  for (const handler of handlers) {
    const container = await lab.create(lab.request(handler, 'sleep 600'))
    await lab.monitor().start(container.id, handler)
    containers.set(handler, container)
  }
  return {
    lab,
    idOf: (handler: string): string => containers.get(handler)?.id ?? '',
    async exec(
      handler: string,
      script: string,
      streams: CommandStreams,
      { terminal = false, signal = new AbortController().signal } = {},
    ): Promise<number> {
      const id = containers.get(handler)?.id ?? ''
      const base = await lab.monitor().ociProcess(id)
      const ociProcess = { ...base, args: ['/bin/sh', '-c', script], terminal }
      return await lab.monitor().execStreamed({ id, handler, ociProcess, streams, signal })
    },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  }
}

export type ExecLab = Awaited<ReturnType<typeof execLab>>

/** A client with all streams. What it is sent stays in the streams, which hold little, until somebody reads it. */
export function execClient(without: readonly ('stdin' | 'stdout' | 'stderr')[] = []) {
  const stream = (): PassThrough => new PassThrough({ highWaterMark: 16 << 10 })
  const [stdin, stdout, stderr] = [stream(), stream(), stream()]
  let known: TerminalSize | undefined
  let tell: (size: TerminalSize) => void = () => {}
  const streams: CommandStreams = {
    stdin: without.includes('stdin') ? undefined : stdin,
    stdout: without.includes('stdout') ? undefined : stdout,
    stderr: without.includes('stderr') ? undefined : stderr,
    onResize: (listener) => {
      tell = listener
      if (known !== undefined) listener(known)
    },
  }
  const resize = (size: TerminalSize): void => {
    known = size
    tell(size)
  }
  return { stdin, stdout, stderr, streams, resize }
}

/** All that comes, as text that grows. */
export function textOf(stream: PassThrough): { readonly text: () => string } {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { text: () => `${Buffer.concat(chunks)}` }
}

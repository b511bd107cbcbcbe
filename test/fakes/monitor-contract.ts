import { expect } from 'vitest'
import type { ContainerMonitor, MonitoredContainer, MonitorRequest } from '#runtime/monitor-port.ts'

const noStreams = { stdin: undefined, stdout: undefined, stderr: undefined, onResize: () => undefined }

export interface MonitorUnderTest {
  readonly monitor: ContainerMonitor
  /** For a container that runs until it gets a signal. */
  readonly request: MonitorRequest
}

/** What the runtime relies on of a ContainerMonitor: the fake keeps it as the real one does. Each resolves when it holds. */
export const monitorContract: {
  readonly [promise: string]: (given: MonitorUnderTest) => Promise<void>
} = {
  'one that was created waits, and one that was started runs': async ({ monitor, request }) => {
    const container = await create(monitor, request)
    expect(await monitor.hasStarted(request.id, request.handler)).toBe(false)
    expect(await monitor.observe(container)).toEqual({ seen: 'alive' })
    await monitor.start(request.id, request.handler)
    expect(await monitor.hasStarted(request.id, request.handler)).toBe(true)
    await expect(monitor.start(request.id, request.handler)).rejects.toThrow(request.id)
    expect(await monitor.observe(container)).toEqual({ seen: 'alive' })
  },

  'a killed one ends, and its exit code stays until it is removed': async ({ monitor, request }) => {
    const container = await create(monitor, request)
    await monitor.start(request.id, request.handler)
    const ended = monitor.ended(container)
    expect(await monitor.signal(container, 9, true)).toBe(true)
    await ended
    await expect.poll(() => monitor.observe(container)).toMatchObject({ seen: 'exited', exitCode: 137 })
    expect(await monitor.signal(container, 15, false)).toBe(false)
    await monitor.release(request.id, request.handler)
    await monitor.release(request.id, request.handler)
    expect(await monitor.observe(container)).toMatchObject({ seen: 'exited', exitCode: 137 })
    await monitor.ended(container)
    await monitor.remove(request.id, request.handler)
    expect(await monitor.observe(container)).toEqual({ seen: 'nothing' })
  },

  'a release kills one that was never started': async ({ monitor, request }) => {
    const container = await create(monitor, request)
    await monitor.release(request.id, request.handler)
    await monitor.ended(container)
    await expect.poll(() => monitor.observe(container)).toMatchObject({ seen: 'exited', exitCode: 137 })
    expect(await monitor.hasStarted(request.id, request.handler)).toBe(false)
  },

  'a removal takes what runs, as often as it is asked for': async ({ monitor, request }) => {
    const container = await create(monitor, request)
    await monitor.start(request.id, request.handler)
    expect(await monitor.leftovers()).toContain(request.id)
    await monitor.remove(request.id, request.handler)
    await monitor.remove(request.id, request.handler)
    await monitor.ended(container)
    expect(await monitor.observe(container)).toEqual({ seen: 'nothing' })
    expect(await monitor.leftovers()).not.toContain(request.id)
  },

  'what is not there is no failure to remove, adopt or release': async ({ monitor, request }) => {
    await monitor.adopt('nobody', request.handler)
    await monitor.release('nobody', request.handler)
    await monitor.remove('nobody', request.handler)
    expect(await monitor.hasStarted('nobody', request.handler)).toBe(false)
  },

  'a command on streams answers its exit code, one whose client is gone is cancelled': async ({
    monitor,
    request,
  }) => {
    await create(monitor, request)
    await monitor.start(request.id, request.handler)
    const { process } = request.ociSpec as { readonly process?: object }
    const command = {
      ...{ id: request.id, handler: request.handler, streams: noStreams },
      ociProcess: { ...process, args: ['/bin/sh', '-c', 'exit 7'] },
    }
    const { signal } = new AbortController()
    expect(await monitor.execStreamed({ ...command, signal })).toBe(7)
    const gone = monitor.execStreamed({ ...command, signal: AbortSignal.abort() })
    await expect(gone).rejects.toMatchObject({ kind: 'cancelled' })
  },

  'an attachment lasts until its client goes, or the container ends': async ({ monitor, request }) => {
    const container = await create(monitor, request)
    await monitor.start(request.id, request.handler)
    const { id, tty, stdin, stdinOnce } = request
    const attached = { id, tty, stdin, stdinOnce, streams: noStreams }
    const client = new AbortController()
    const [short, long] = [
      monitor.attach({ ...attached, signal: client.signal }),
      monitor.attach({ ...attached, signal: new AbortController().signal }),
    ]
    client.abort()
    await short
    expect(await monitor.observe(container)).toEqual({ seen: 'alive' })
    await monitor.signal(container, 9, true)
    await long
  },

  'its process is known as it was asked for': async ({ monitor, request }) => {
    await create(monitor, request)
    const { process } = request.ociSpec as { readonly process?: object }
    expect(await monitor.ociProcess(request.id)).toEqual(process)
  },
}

async function create(monitor: ContainerMonitor, request: MonitorRequest): Promise<MonitoredContainer> {
  return { id: request.id, handler: request.handler, ...(await monitor.create(request)) }
}

import { chmod, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Server, ServerCredentials, setLogger } from '@grpc/grpc-js'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { ImageServiceDefinition, RuntimeServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import { grpcService, maxMessageBytes, type ServiceTable } from './service-table.ts'
import type { StartGate } from './start-gate.ts'

export interface CriServer extends AsyncDisposable {
  /** Takes no new calls, waits for those under way, and ends them after `drainMs`. Removes the socket. */
  close(drainMs: number): Promise<void>
}

export interface CriServerOptions {
  /** A path without a socket: who starts the daemon holds its lock and removes a stale one. Its directory may be missing. */
  readonly socketPath: string
  readonly runtimeService: ServiceTable<typeof RuntimeServiceDefinition>
  readonly imageService: ServiceTable<typeof ImageServiceDefinition>
  /** Until it is open, only Version and Status are served. */
  readonly gate: StartGate
  readonly log: Log
}

/** Serves the CRI on a unix socket that its owner and group may use (0660). */
export async function startCriServer(options: CriServerOptions): Promise<CriServer> {
  // grpc-js writes to stderr else, where the log's readers expect lines of ours.
  setLogger({ error: (...words: unknown[]) => options.log.warn({ said: words.join(' ') }, 'grpc-js') })
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
  })
  server.addService(...grpcService(RuntimeServiceDefinition, options.runtimeService, options))
  server.addService(...grpcService(ImageServiceDefinition, options.imageService, options))
  await makeDirectoryOf(options.socketPath)
  await listen(server, options.socketPath)
  await chmod(options.socketPath, 0o660)

  const close = (drainMs: number): Promise<void> => drain(server, drainMs)
  return { close, [Symbol.asyncDispose]: () => close(0) }
}

async function makeDirectoryOf(socketPath: string): Promise<void> {
  const directory = dirname(socketPath)
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 })
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `listen: the directory ${directory} of the CRI socket cannot be made: make it, or set another path`,
      { cause },
    )
  }
}

function listen(server: Server, socketPath: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (cause) => {
    if (cause === null) resolve()
    else reject(new CriError('unavailable', `listen on the CRI socket ${socketPath}`, { cause }))
  })
  return promise
}

function drain(server: Server, drainMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => server.forceShutdown(), drainMs)
  server.tryShutdown(() => {
    clearTimeout(deadline)
    resolve()
  })
  return promise
}

import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader'
import { maxMessageBytes } from './service-table.ts'

type Method = MethodDefinition<object, Message>

/** A message as the .proto file names its fields: snake_case, 64-bit numbers as strings, enums by name. */
export interface Message {
  // biome-ignore lint/suspicious/noExplicitAny: made at run time from the .proto file, as crictl's users write it.
  readonly [field: string]: any
}

export interface CriClient extends Disposable {
  /** An RPC with one answer. Throws grpc-js's ServiceError with `code` and `details`. */
  call(rpc: string, request?: object, options?: CallOptions): Promise<Message>
  /** An RPC with a stream of answers, all of them. */
  collect(rpc: string, request?: object, options?: CallOptions): Promise<Message[]>
}

export interface CallOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** A daemon that is started again is there at once; gRPC would wait for a second and more. */
const RECONNECT_MS = 20

/**
 * A client of the CRI for tests and tools. It encodes by the .proto file and not by the server's generated
 * code, so that the two check each other. Finds the file beside the sources.
 */
export function connect(socketPath: string): CriClient {
  const methods = loadMethods()
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS,
  })
  const methodOf = (rpc: string): Method => {
    const method = methods.get(rpc)
    if (method === undefined) throw new Error(`the CRI has no RPC ${rpc}`)
    return method
  }
  const callOptions = ({ timeoutMs = 60_000 }: CallOptions) => ({ deadline: Date.now() + timeoutMs })

  return {
    call(rpc, request = {}, options = {}) {
      const { path, requestSerialize, responseDeserialize } = methodOf(rpc)
      const { promise, resolve, reject } = Promise.withResolvers<Message>()
      const answered = (error: ServiceError | null, response?: Message): void => {
        if (error === null && response !== undefined) resolve(response)
        else reject(error)
      }
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        callOptions(options),
        answered,
      )
      options.signal?.addEventListener('abort', () => call.cancel())
      return promise
    },
    async collect(rpc, request = {}, options = {}) {
      const { path, requestSerialize, responseDeserialize } = methodOf(rpc)
      const deadline = callOptions(options)
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        deadline,
      )
      options.signal?.addEventListener('abort', () => call.cancel())
      return await Array.fromAsync<Message>(call)
    },
    [Symbol.dispose]: () => client.close(),
  }
}

function loadMethods(): ReadonlyMap<string, Method> {
  const file = new URL('../proto/runtime/v1/api.proto', import.meta.url).pathname
  const definitions = loadSync(file, { keepCase: true, longs: String, enums: String, defaults: true })
  const services = ['runtime.v1.RuntimeService', 'runtime.v1.ImageService']
  return new Map(services.flatMap((name) => Object.entries((definitions[name] ?? {}) as ServiceDefinition)))
}

import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { type StreamHandler, serverStream } from './server-stream.ts'
import type { StartGate } from './start-gate.ts'
import { type Handler, unary } from './unary.ts'

/** Kubelet's own limit, both ways (k8s.io/kubernetes, pkg/kubelet/cri/remote: maxMsgSize). */
export const maxMessageBytes = 16 * 1024 * 1024

/** A service as proto/gen describes it. */
export interface GeneratedService {
  readonly fullName: string
  readonly methods: { readonly [name: string]: GeneratedMethod }
}

interface GeneratedMethod {
  readonly name: string
  readonly requestType: Codec
  readonly responseType: Codec
  readonly responseStream: boolean
}

interface Codec {
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own message; ServiceTable says which.
  encode(message: any): { finish(): Uint8Array }
  decode(bytes: Uint8Array): object
}

type MessageOf<Type extends Codec> = ReturnType<Type['decode']>

/** One handler for each RPC of a service: a missing one is a type error. */
export type ServiceTable<Service extends GeneratedService> = {
  readonly [Name in keyof Service['methods']]: HandlerOf<Service['methods'][Name]>
}

type HandlerOf<Method extends GeneratedMethod> = Method['responseStream'] extends true
  ? StreamHandler<MessageOf<Method['requestType']>, MessageOf<Method['responseType']>>
  : Handler<MessageOf<Method['requestType']>, MessageOf<Method['responseType']>>

/** What may be asked before the daemon knows its pods: kubelet and crictl wait by these. */
const ungated: readonly string[] = ['Version', 'Status']

/** The service in grpc-js's terms: its definition, and its handlers behind the gate, with log and statuses. */
export function grpcService<Service extends GeneratedService>(
  service: Service,
  table: ServiceTable<Service>,
  { gate, log }: { readonly gate: StartGate; readonly log: Log },
): [ServiceDefinition, UntypedServiceImplementation] {
  const definition: { [name: string]: ServiceDefinition[string] } = {}
  const implementation: UntypedServiceImplementation = {}
  for (const [name, method] of Object.entries(service.methods)) {
    definition[name] = methodDefinition(service.fullName, method)
    const handle = table[name] as (request: object, call: object) => never
    const gated: typeof handle = (request, call) => {
      if (!ungated.includes(method.name)) gate.pass(method.name)
      return handle(request, call)
    }
    const adapt = method.responseStream ? serverStream : unary
    implementation[name] = adapt(method.name, gated, encoder(method), log)
  }
  return [definition, implementation]
}

function methodDefinition(service: string, method: GeneratedMethod): ServiceDefinition[string] {
  const asIs = (bytes: Buffer): Buffer => bytes
  return {
    path: `/${service}/${method.name}`,
    requestStream: false,
    responseStream: method.responseStream,
    requestSerialize: asIs,
    requestDeserialize: (bytes: Buffer) => method.requestType.decode(bytes),
    responseSerialize: asIs,
    responseDeserialize: asIs,
  }
}

/** Throws resource-exhausted for an answer that no kubelet would take. */
function encoder({ name, responseType }: GeneratedMethod): (response: object) => Buffer {
  return (response) => {
    const { buffer, byteOffset, byteLength } = responseType.encode(response).finish()
    if (byteLength > maxMessageBytes) {
      throw new CriError(
        'resource-exhausted',
        `${name}: the answer has ${byteLength} bytes, a message at most ${maxMessageBytes}: filter it, or use a Stream RPC`,
      )
    }
    return Buffer.from(buffer, byteOffset, byteLength)
  }
}

/** For an RPC that a later version brings: kubelet and crictl then do without it. */
export function unimplemented(method: string): () => never {
  return () => {
    throw new CriError('unimplemented', `${method} is not implemented by this version of cri-ts`)
  }
}

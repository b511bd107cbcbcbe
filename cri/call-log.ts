import { status } from '@grpc/grpc-js'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { firstFailure, type GrpcStatus, toGrpcStatus } from './status.ts'

/** Kubelet asks these every second and more; they change nothing. */
const quiet = /^(Version|Status|List|Stream|Get|ExecSync|ImageFsInfo|RuntimeConfig|.*(Status|Stats)$)/

export interface CallLog {
  succeeded(response?: object): void
  /** Logs the failure with what the caller is not told (a stack, a failed teardown), and answers what the caller is. */
  failed(thrown: unknown): GrpcStatus
}

/**
 * One line a call: its method, the ids and names in it, how long it took, its code.
 * Nothing else of a request is logged: credentials and environments are none of the log's business.
 */
export function callLog(method: string, request: object, log: Log): CallLog {
  const startedMs = performance.now()
  const fields = (code: status, response?: object) => ({
    method,
    ...namesIn(request),
    ...(response === undefined ? {} : namesIn(response)),
    durationMs: Math.round((performance.now() - startedMs) * 100) / 100,
    code: status[code],
  })

  return {
    succeeded(response) {
      log[quiet.test(method) ? 'debug' : 'info'](fields(status.OK, response), 'served')
    },
    failed(thrown) {
      const answer = toGrpcStatus(thrown)
      const line = { ...fields(answer.code), ...detailsOf(thrown, answer.code) }
      if (answer.code === status.INTERNAL || thrown instanceof SuppressedError) log.error(line, 'failed')
      else if (answer.code === status.NOT_FOUND && quiet.test(method)) log.debug(line, 'failed')
      else log.warn(line, 'failed')
      return answer
    },
  }
}

/** The stack only of what was not foreseen. */
function detailsOf(thrown: unknown, code: status): object {
  const failure = firstFailure(thrown)
  return {
    error: describeError(failure),
    ...(code === status.INTERNAL && failure instanceof Error ? { stack: failure.stack } : {}),
    ...(thrown instanceof SuppressedError ? { teardown: teardownFailures(thrown) } : {}),
  }
}

function teardownFailures(thrown: unknown): string[] {
  return thrown instanceof SuppressedError
    ? [...teardownFailures(thrown.suppressed), describeError(thrown.error)]
    : []
}

/** The fields by which CRI messages name things; which message it is does not matter. */
interface Naming {
  readonly podSandboxId?: string
  readonly containerId?: string
  readonly config?: { readonly metadata?: Metadata }
  readonly sandboxConfig?: { readonly metadata?: Metadata }
  readonly image?: { readonly image?: string }
  readonly imageRef?: string
}

interface Metadata {
  readonly name?: string
  readonly namespace?: string
}

function namesIn(message: object): object {
  const { podSandboxId, containerId, config, sandboxConfig, image, imageRef }: Naming = message
  const metadata = config?.metadata
  const pod = metadata?.namespace === undefined ? sandboxConfig?.metadata : metadata
  return definedOnly({
    sandboxId: podSandboxId,
    containerId,
    pod: pod && `${pod.namespace}/${pod.name}`,
    container: metadata?.namespace === undefined ? metadata?.name : undefined,
    image: image?.image,
    imageId: imageRef,
  })
}

const definedOnly = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ''))

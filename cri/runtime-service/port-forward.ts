import { invalidArgument } from '#lib/errors.ts'
import type { PortForwardRequest, PortForwardResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import type { StreamingServer } from '../streaming/server.ts'
import type { Handler } from '../unary.ts'

/** Answers where ports of the pod are forwarded; SPDY clients name them with each connection, others here. */
export function portForward(
  sandboxes: Pick<SandboxService, 'ready'>,
  streaming: Pick<StreamingServer, 'urlFor'>,
): Handler<PortForwardRequest, PortForwardResponse> {
  return ({ podSandboxId, port }) => {
    const wrong = port.find((each) => each < 1 || each > 65_535)
    if (wrong !== undefined) throw invalidArgument(`port ${wrong} is none: give ports from 1 to 65535`)
    const { id: sandboxId } = sandboxes.ready(podSandboxId)
    return { url: streaming.urlFor({ kind: 'portforward', sandboxId, ports: [...port] }) }
  }
}

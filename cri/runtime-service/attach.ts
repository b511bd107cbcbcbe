import { invalidArgument } from '#lib/errors.ts'
import type { AttachRequest, AttachResponse } from '#proto/gen/runtime/v1/api.ts'
import type { CommandService } from '#runtime/services.ts'
import type { StreamingServer } from '../streaming/server.ts'
import type { Handler } from '../unary.ts'
import { wantedStreams } from './wanted-streams.ts'

/** Answers where the container's streams are served. Whether there is a terminal is the container's affair. */
export function attach(
  commands: Pick<CommandService, 'attachable'>,
  streaming: Pick<StreamingServer, 'urlFor'>,
): Handler<AttachRequest, AttachResponse> {
  return (request) => {
    const streams = wantedStreams(request)
    const { id, spec } = commands.attachable(request.containerId)
    if (streams.tty && !spec.tty) {
      throw invalidArgument(`tty is set, but container ${id} has no terminal: attach without one`)
    }
    return { url: streaming.urlFor({ kind: 'attach', containerId: id, streams }) }
  }
}

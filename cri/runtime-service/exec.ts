import type { ExecRequest, ExecResponse } from '#proto/gen/runtime/v1/api.ts'
import type { CommandService } from '#runtime/services.ts'
import { convertExecCommand } from '../convert-command.ts'
import type { StreamingServer } from '../streaming/server.ts'
import type { Handler } from '../unary.ts'
import { wantedStreams } from './wanted-streams.ts'

/** Answers where the command's streams are served; it runs once its client has connected. */
export function exec(
  commands: Pick<CommandService, 'executable'>,
  streaming: Pick<StreamingServer, 'urlFor'>,
): Handler<ExecRequest, ExecResponse> {
  return (request) => {
    const command = convertExecCommand(request.cmd)
    const streams = wantedStreams(request)
    const containerId = commands.executable(request.containerId)
    return { url: streaming.urlFor({ kind: 'exec', containerId, command, streams }) }
  }
}

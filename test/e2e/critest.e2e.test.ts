import { useCritestRegistry } from './critest-registry.ts'
import { describeCritest } from './critest-specs.ts'
import { HANDLERS, useUncheckedDaemon } from './host.ts'

/** critest v1.36.0 (cri-tools), whole: in turn, in parallel; its Streaming specs over WebSocket as well. */
const NODES = 4
const WEBSOCKET = ['-websocket-exec', '-websocket-attach', '-websocket-portforward']
const timeoutMs = 30 * 60_000

const registriesDir = useCritestRegistry()
const daemon = useUncheckedDaemon({ config: `[image]\nregistries_dir = "${registriesDir}"` })

for (const handler of HANDLERS) {
  const flags = ['-runtime-handler', handler]
  describeCritest(`${handler}: critest, one spec after the other:`, daemon, { flags, timeoutMs })
  describeCritest(`${handler}: critest, ${NODES} specs at a time:`, daemon, {
    flags,
    nodes: NODES,
    timeoutMs,
  })
  describeCritest(`${handler}: critest, over WebSocket:`, daemon, {
    flags: [...flags, '-ginkgo.focus=Streaming', ...WEBSOCKET],
    timeoutMs,
  })
}

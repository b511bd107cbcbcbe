import { CriError } from '#lib/errors.ts'
import type { Catalogue } from '../catalogue.ts'
import { buildExecProcess } from '../oci-spec/process.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { CommandService } from '../services.ts'
import type { ContainerRecord, ContainerState } from './record.ts'

/** Of each stream: no more fits an answer of gRPC, whose limit is 16 MiB. */
const EXEC_OUTPUT_LIMIT_BYTES = (16 << 20) - (64 << 10)

type Running = ContainerRecord & { readonly state: Extract<ContainerState, { readonly phase: 'running' }> }

/** Commands in containers, and the clients of their streams: under no lock, they may take as long as they like. */
export function containerCommands(
  catalogue: Catalogue<ContainerRecord>,
  { ports: { monitor } }: Pick<RuntimeContext, 'ports'>,
): CommandService {
  const running = (id: string): Running => {
    const record = catalogue.get(id)
    if (isRunning(record)) return record
    throw notRunning(record)
  }

  const attachable = (id: string): ContainerRecord => {
    const record = catalogue.get(id)
    if (record.state.phase === 'created' || isRunning(record)) return record
    throw notRunning(record)
  }

  /** What fails because the container has ended meanwhile says that, whatever its OCI runtime made of it. */
  async function whileRunning<Answer>(
    { id, handler }: Running,
    signal: AbortSignal,
    act: () => Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await act()
    } catch (cause) {
      const record = catalogue.find(id)
      const lives =
        record !== undefined &&
        isRunning(record) &&
        (await monitor.observe({ id, handler, ...record.state })).seen === 'alive'
      if (signal.aborted || lives) throw cause
      const message = `container ${id} has ended meanwhile: nothing can be executed in it any more`
      throw new CriError('failed-precondition', message, { cause })
    }
  }

  const processOf = async (id: string, command: readonly string[], tty: boolean): Promise<object> => {
    const base = await monitor.ociProcess(id)
    return buildExecProcess(base as Parameters<typeof buildExecProcess>[0], command, { tty })
  }

  return {
    async execSync(id, command, timeoutMs, signal) {
      const record = running(id)
      return whileRunning(record, signal, async () =>
        monitor.exec({
          ...{ id: record.id, handler: record.handler, timeoutMs, signal },
          ociProcess: await processOf(record.id, command, false),
          outputLimitBytes: EXEC_OUTPUT_LIMIT_BYTES,
        }),
      )
    },

    executable: (id) => running(id).id,

    async exec(id, { command, tty }, streams, signal) {
      const record = running(id)
      return whileRunning(record, signal, async () =>
        monitor.execStreamed({
          ...{ id: record.id, handler: record.handler, streams, signal },
          ociProcess: await processOf(record.id, command, tty),
        }),
      )
    },

    attachable,

    async attach(id, streams, signal) {
      const { id: fullId, spec } = attachable(id)
      const { tty, stdin, stdinOnce } = spec
      await monitor.attach({ id: fullId, tty, stdin, stdinOnce, streams, signal })
    },
  }
}

const isRunning = (record: ContainerRecord): record is Running => record.state.phase === 'running'

/** For what needs a container that runs. */
export const notRunning = ({ id, state }: ContainerRecord): CriError =>
  new CriError('failed-precondition', `container ${id} is ${state.phase}, not running`)

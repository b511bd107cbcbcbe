import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { CheckpointDirectories } from '#runtime/checkpoint-port.ts'
import type { Command, Finished } from './command.ts'
import type { HeldLocks } from './object-lock.ts'

export interface OciRuntimeOptions {
  /** The handler's name, for messages. */
  readonly handler: string
  readonly path: string
  /** What it calls itself in `--version`: crun, runc, runsc, youki. */
  readonly program: string
  /** Where it keeps its own state: --root. */
  readonly stateDirectory: string
  readonly systemdCgroup: boolean
  readonly createTimeoutMs: number
  /** Where the monitors of its containers live: see linux/monitor-cgroup.ts. */
  readonly monitorCgroup: string | undefined
}

/** An OCI runtime's command line, as crun, runc and youki have it. Each call holds the container's lock. */
export interface OciRuntime {
  readonly options: OciRuntimeOptions
  start(id: string): Promise<void>
  /** `created`, `running`, `stopped`; undefined when it knows no such container. */
  status(id: string): Promise<string | undefined>
  /** Whether it keeps a state of the container, though perhaps a broken one. */
  has(id: string): boolean
  /** `linux.resources` of the specification. */
  update(id: string, resources: object): Promise<void>
  /** Its processes stand still until it is resumed. */
  pause(id: string): Promise<void>
  /** Succeeds when it is not paused. */
  resume(id: string): Promise<void>
  /** Has CRIU write the state of its processes; they go on as before, or stand still if they did. */
  checkpoint(id: string, directories: CheckpointDirectories, timeoutMs: number): Promise<void>
  /** Succeeds when there is nothing to delete. */
  remove(id: string): Promise<void>
}

const TIMEOUT_MS = 60_000
const NOTHING_TO_DELETE =
  /does not exist|no such file|cannot open|error opening file|loading container|read status|unmarshal|parse/i

export function createOciRuntime(
  options: OciRuntimeOptions,
  locks: HeldLocks,
  run: (command: Command) => Promise<Finished>,
): OciRuntime {
  const argv = (...args: readonly string[]): [string, ...string[]] => [
    options.path,
    ...globalArguments(options),
    ...args,
  ]

  async function call(
    id: string,
    args: readonly string[],
    { stdin, timeoutMs = TIMEOUT_MS }: { readonly stdin?: string; readonly timeoutMs?: number } = {},
  ): Promise<Finished> {
    using lock = locks.hold(id)
    return await run({
      argv: argv(...args),
      timeoutMs,
      heldFds: [lock.fd],
      ...(stdin === undefined ? {} : { stdin }),
    })
  }

  async function mustSucceed(
    id: string,
    step: string,
    args: readonly string[],
    how: Parameters<typeof call>[2] = {},
  ): Promise<void> {
    const { exitCode, stderr } = await call(id, args, how)
    if (exitCode === 0) return
    throw refusal(`container ${id}: ${options.handler} ${step}`, stderr, exitCode)
  }

  return {
    options,
    start: (id) => mustSucceed(id, 'start', ['start', id]),
    update: (id, resources) =>
      mustSucceed(id, 'update', ['update', '--resources', '/dev/stdin', id], {
        stdin: JSON.stringify(resources),
      }),
    pause: (id) => mustSucceed(id, 'pause', ['pause', id]),

    async resume(id) {
      const { exitCode, stderr } = await call(id, ['resume', id])
      if (exitCode === 0 || /not paused|does not exist/i.test(stderr)) return
      throw refusal(`container ${id}: ${options.handler} resume`, stderr, exitCode)
    },

    checkpoint: (id, directories, timeoutMs) =>
      mustSucceed(id, 'checkpoint', checkpointArguments(id, directories), { timeoutMs }),

    has: (id) => existsSync(join(options.stateDirectory, id)),

    async status(id) {
      const { exitCode, stdout } = await call(id, ['state', id])
      if (exitCode !== 0) return undefined
      const state = JSON.parse(stdout.toString()) as { readonly status?: string }
      return state.status
    },

    async remove(id) {
      const { exitCode, stderr } = await call(id, ['delete', '--force', id]).catch(uninstalled)
      // What it can't read it can't delete: a create that was cut short leaves half a state behind.
      rmSync(join(options.stateDirectory, id), { recursive: true, force: true })
      if (exitCode === 0 || NOTHING_TO_DELETE.test(stderr)) return
      const said = runtimeMessage(stderr, exitCode)
      throw new CriError('internal', `container ${id}: ${options.handler} delete: ${said}`)
    },
  }
}

/** The container runs on, with its connections: those of a copy are closed when that is restored. */
const checkpointArguments = (id: string, { images, work }: CheckpointDirectories): readonly string[] => [
  ...['checkpoint', '--image-path', images, '--work-path', work],
  ...['--leave-running', '--file-locks', '--tcp-established', '--ext-unix-sk', id],
]

/** A runtime that is not there any more deletes nothing: its state is all that is left of it. */
function uninstalled(error: unknown): { readonly exitCode: number; readonly stderr: string } {
  if (errnoOf(error) === 'ENOENT') return { exitCode: 0, stderr: '' }
  throw error
}

export const globalArguments = ({
  stateDirectory,
  systemdCgroup,
}: Pick<OciRuntimeOptions, 'stateDirectory' | 'systemdCgroup'>): readonly string[] => [
  `--root=${stateDirectory}`,
  ...(systemdCgroup ? ['--systemd-cgroup'] : []),
]

/**
 * config.json of a bundle. With systemd's driver crun would put the container into a cgroup `container` below its
 * scope, other runtimes put it into the scope itself: told so, crun does as well, and `exec --cgroup` means the same.
 */
export function bundleConfig(ociSpec: { readonly annotations?: object }, more: object = {}): string {
  const annotations = { ...ociSpec.annotations, 'run.oci.systemd.subgroup': '', ...more }
  return JSON.stringify({ ...ociSpec, annotations })
}

/** What a runtime blames on what it was asked to run. */
const REQUEST_FAULT =
  /executable .*not found|exec: "|open executable|not a directory|is a directory|invalid argument|out of range|memory limit/i

/** The error for a step that a runtime did not take, by its own words; one that said nothing has failed itself. */
export function refusal(what: string, text: string, exitCode: number): CriError {
  const said = runtimeMessage(text, exitCode)
  if (text.trim() === '') return new CriError('internal', `${what}: ${said}`)
  const kind = REQUEST_FAULT.test(said) ? 'invalid-argument' : 'failed-precondition'
  return new CriError(kind, `${what}: ${said}`)
}

/** What an OCI runtime said, without its log decoration: `time=… level=error msg="…"`, or a JSON object a line. */
export function runtimeMessage(text: string, exitCode: number): string {
  const quoted = [
    ...text.matchAll(/level=(?:error|fatal) msg=("(?:[^"\\]|\\.)*")/g),
    ...text.matchAll(/"msg":\s*("(?:[^"\\]|\\.)*")/g),
  ].map(([, message = '""']) => JSON.parse(message) as string)
  if (quoted.length > 0) return quoted.join('; ')
  return text.trim() === '' ? `exit code ${exitCode}` : text.trim()
}

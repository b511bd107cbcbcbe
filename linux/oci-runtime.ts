import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { CheckpointDirectories } from '#runtime/checkpoint-port.ts'
import type { Command, Finished } from './command.ts'
import { hasOwnInits, rootArgument, startCommand } from './exit-waiter.ts'
import { namesIn } from './names-in.ts'
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
  /** `pidFile` holds the pid of its init. */
  start(id: string, pidFile: string): Promise<void>
  /** `created`, `running`, `stopped`; undefined when it knows no such container. */
  status(id: string): Promise<string | undefined>
  /** Whether it keeps a state of the container, though perhaps a broken one. */
  has(id: string): boolean
  /** Sends a signal to the init, or to all processes; false when it does not run (yet). */
  kill(id: string, signal: number, all: boolean): Promise<boolean>
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

interface HowToCall {
  readonly stdin?: string
  readonly timeoutMs?: number
  /** In place of the runtime's own. */
  readonly command?: Command['argv']
}

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
    { stdin, timeoutMs = TIMEOUT_MS, command = argv(...args) }: HowToCall = {},
  ): Promise<Finished> {
    using lock = locks.hold(id)
    return await run({
      argv: command,
      timeoutMs,
      heldFds: [lock.fd],
      ...(stdin === undefined ? {} : { stdin }),
    })
  }

  async function mustSucceed(
    id: string,
    step: string,
    args: readonly string[],
    how: HowToCall = {},
  ): Promise<void> {
    const { exitCode, stderr } = await call(id, args, how)
    if (exitCode === 0) return
    throw refusal(`container ${id}: ${options.handler} ${step}`, stderr, exitCode)
  }

  return {
    options,
    start: (id, pidFile) =>
      mustSucceed(id, 'start', ['start', id], hasOwnInits(options) ? {} : startedBy(options, id, pidFile)),
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

    kill: async (id, signal, all) =>
      (await call(id, ['kill', ...(all ? ['--all'] : []), id, `${signal}`])).exitCode === 0,
    has: (id) => stateOf(options.stateDirectory, id).length > 0,

    async status(id) {
      const { exitCode, stdout } = await call(id, ['state', id])
      return exitCode === 0 ? (JSON.parse(stdout.toString()) as { status?: string }).status : undefined
    },

    async remove(id) {
      const { exitCode, stderr } = await call(id, ['delete', '--force', id]).catch(uninstalled)
      // What it can't read it can't delete: a create that was cut short leaves half a state behind.
      for (const path of stateOf(options.stateDirectory, id)) rmSync(path, { recursive: true, force: true })
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
/** A directory of the container's id, or runsc's files `ID_sandbox:SANDBOX.*`. */
function stateOf(stateDirectory: string, id: string): readonly string[] {
  return namesIn(stateDirectory)
    .filter((name) => name === id || name.startsWith(`${id}_sandbox:`))
    .map((name) => join(stateDirectory, name))
}

const startedBy = (options: OciRuntimeOptions, id: string, pidFile: string): HowToCall => ({
  command: startCommand(options, id, readFileSync(pidFile, 'utf8').trim()),
})

/** A runtime that is not there any more deletes nothing: its state is all that is left of it. */
function uninstalled(error: unknown): { readonly exitCode: number; readonly stderr: string } {
  if (errnoOf(error) === 'ENOENT') return { exitCode: 0, stderr: '' }
  throw error
}

export const globalArguments = ({ stateDirectory, systemdCgroup }: OciRuntimeOptions): readonly string[] => [
  rootArgument(stateDirectory),
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

import { posix } from 'node:path'
import { capabilityNames } from '#lib/capability-names.ts'
import { invalidArgument } from '#lib/errors.ts'
import { exactNumber } from '#lib/exact-json.ts'
import type { ContainerSpec } from '../container/record.ts'
import type { ContainerDefaults } from '../container-defaults.ts'
import type { HostFacts, LocalImage } from '../ports.ts'
import type { OciSpecInput } from './build-spec.ts'
import { resolveCapabilities } from './capabilities.ts'
import type { OciProcess } from './oci-spec.ts'

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What of a container's config.json its own and every exec's process is made from. */
export type ProcessInput = Pick<
  OciSpecInput,
  | 'container'
  | 'sandbox'
  | 'image'
  | 'user'
  | 'host'
  | 'hostname'
  | 'defaults'
  | 'apparmorProfile'
  | 'selinux'
>

export function buildProcess(input: ProcessInput): OciProcess {
  const { container, sandbox, image, user, host, defaults, apparmorProfile, selinux } = input
  const { security } = container
  return {
    terminal: container.tty,
    user,
    args: commandLine(container, image),
    env: environment(input),
    cwd: posix.resolve('/', container.workingDirectory || image.config.workingDirectory),
    // Whoever enters a user namespace holds all there are, but over what belongs to it only.
    capabilities: resolveCapabilities(
      security,
      sandbox.spec.namespaces.user === undefined ? host.capabilities : capabilityNames,
      defaults.capabilities,
    ),
    rlimits: limits(defaults, host),
    noNewPrivileges: security.noNewPrivileges,
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
    // A privileged container is not confined; its files are the pod's all the same.
    ...(selinux === undefined || security.privileged ? {} : { selinuxLabel: selinux.process }),
    oomScoreAdj: allowedOomScoreAdj(container.resources.oomScoreAdj, host),
  }
}

/** A further process in the container: what the container's own is, but for its command and terminal. */
export function buildExecProcess(
  process: OciProcess,
  command: readonly string[],
  { tty }: { readonly tty: boolean },
): OciProcess {
  if (command.length === 0) throw invalidArgument('the command to execute is empty: name a program')
  const env = tty ? mergeEnvironment(process.env, ['TERM=xterm']) : process.env
  return { ...process, terminal: tty, args: command, env }
}

/** Without CAP_SYS_RESOURCE nobody may go below his own; a runtime that tries fails with no reason given. */
export const allowedOomScoreAdj = (wanted: number, host: HostFacts): number => {
  if (wanted < -1000 || wanted > 1000) {
    throw invalidArgument(`oom_score_adj ${wanted} is out of range: give one from -1000 to 1000`)
  }
  return Math.max(wanted, host.minOomScoreAdj)
}

/** A command replaces the image's entrypoint and drops its cmd; arguments replace its cmd (api.proto). */
function commandLine({ name, command, args }: ContainerSpec, { id, config }: LocalImage): readonly string[] {
  // An entrypoint of one empty word is how a Dockerfile clears the one it inherits.
  const entrypoint = config.entrypoint.length === 1 && config.entrypoint[0] === '' ? [] : config.entrypoint
  const words =
    command.length > 0 ? [...command, ...args] : [...entrypoint, ...(args.length > 0 ? args : config.cmd)]
  if (words.length === 0) {
    throw invalidArgument(
      `container ${name} has nothing to run: image ${id} has no entrypoint and no cmd, so give a command`,
    )
  }
  return words
}

function environment({ container, sandbox, image, hostname, defaults }: ProcessInput): readonly string[] {
  const { tty, env } = container
  return mergeEnvironment(
    [DEFAULT_PATH, ...(tty ? ['TERM=xterm'] : []), `HOSTNAME=${sandbox.spec.hostname || hostname}`],
    [...defaults.env, ...image.config.env, ...env.map(({ name, value }) => `${name}=${value}`)],
  )
}

/** A JSON number that is no double: what setrlimit(2) calls infinity. */
const UNLIMITED = exactNumber('18446744073709551615')

function limits({ limits: wanted }: ContainerDefaults, { nofileLimit }: HostFacts): OciProcess['rlimits'] {
  const value = (limit: number): number => (limit === Number.POSITIVE_INFINITY ? UNLIMITED : limit)
  const nofile = { type: 'RLIMIT_NOFILE', ...nofileLimit }
  return [...new Map([nofile, ...wanted].map((limit) => [limit.type, limit])).values()].map(
    ({ type, soft, hard }) => ({ type, soft: value(soft), hard: value(hard) }),
  )
}

/** The last value of a name counts, at the place of its first; a name without `=` is taken away. */
export function mergeEnvironment(base: readonly string[], more: readonly string[]): readonly string[] {
  const merged = new Map<string, string>()
  for (const entry of [...base, ...more]) {
    const end = entry.indexOf('=')
    if (end < 0) merged.delete(entry)
    else merged.set(entry.slice(0, end), entry)
  }
  return [...merged.values()]
}

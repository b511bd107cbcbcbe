import type { MonitorRequest } from '#runtime/monitor-port.ts'

/** Of an OCI runtime: what it calls itself, and where it is and keeps its state. */
interface Runtime {
  readonly program: string
  readonly path: string
  readonly stateDirectory: string
}

export const rootArgument = (stateDirectory: string): string => `--root=${stateDirectory}`

/**
 * Containers of runsc are no processes of the host: they live in the process of their sandbox, and only `runsc wait`
 * tells how one ends. conmon gets a process for each all the same, which ends as the container does: this script creates
 * the container and puts the pid of the waiting process, which conmon inherits, into the pid file.
 * $0: the runtime; $1: its --root; then what conmon adds: create --bundle PATH --pid-file PATH … ID.
 * A container that was created cannot be waited for before it is started. Its stdio are those of its `start`, which
 * takes them from the waiting process: so that one keeps what conmon has given it.
 */
const CREATE_AND_WAIT = `"$0" "$@" || exit
root=$1
while [ $# -gt 1 ]; do
  if [ "$1" = --pid-file ]; then pid_file=$2; fi
  shift
done
until_it_ends() {
  until told=$("$0" "$root" wait "$1" </dev/null 2>/dev/null); do
    case $("$0" "$root" state "$1" </dev/null 2>/dev/null) in
      *'"created"'* | *'"running"'*) sleep 0.1 ;;
      *) exit 137 ;;
    esac
  done
  status=\${told##*exitStatus\\":}
  exit "\${status%%[!0-9]*}"
}
exec 9<&0
until_it_ends "$1" <&9 9<&- &
echo $! >"$pid_file"
`

/** $0: the runtime; $1: its --root; $2: the container's id; $3: the pid of who waits for it. */
const START = `exec 9>&2
exec "$0" "$1" --log=/proc/self/fd/9 --log-format=json start "$2" \\
  <"/proc/$3/fd/0" >"/proc/$3/fd/1" 2>"/proc/$3/fd/2"
`

/** Whether an OCI runtime's containers have an init that is a process of the host. */
export const hasOwnInits = ({ program }: Pick<Runtime, 'program'>): boolean => program !== 'runsc'

/**
 * crun before 1.24 makes what it has as its stdio the property of a user namespace's user: of the host's /dev/null, which
 * conmon gives it for input, a container's root would be the owner. An empty pipe reads the same.
 */
const WITHOUT_INPUT = ': | exec "$0" "$@"'

/** The OCI runtime as conmon is to call it for a container. */
export function createCommand(
  runtime: Runtime & { readonly systemdCgroup: boolean },
  { ociSpec, stdin }: Pick<MonitorRequest, 'ociSpec' | 'stdin'>,
): readonly [program: string, ...args: string[]] {
  const driver = runtime.systemdCgroup ? ['--systemd-cgroup'] : []
  const called = [runtime.path, rootArgument(runtime.stateDirectory), ...driver] as const
  if (!hasOwnInits(runtime)) return ['/bin/sh', '-c', CREATE_AND_WAIT, ...called]
  const sharesNull = runtime.program === 'crun' && !stdin && hasUserNamespace(ociSpec)
  return sharesNull ? ['/bin/sh', '-c', WITHOUT_INPUT, ...called] : called
}

const hasUserNamespace = (ociSpec: {
  readonly linux?: { readonly namespaces?: readonly object[] }
}): boolean =>
  ociSpec.linux?.namespaces?.some((namespace) => 'type' in namespace && namespace.type === 'user') === true

/** How a container is started that `waiterPid` waits for. */
export const startCommand = (
  { path, stateDirectory }: Runtime,
  id: string,
  waiterPid: string,
): readonly [program: string, ...args: string[]] => [
  ...(['/bin/sh', '-c', START, path] as const),
  ...[rootArgument(stateDirectory), id, waiterPid],
]

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isolation } from './isolation.ts'

/** Where to look beyond what the whole host shares. */
export interface SnapshotScope {
  /** The daemon, whose mounts and open files are looked at too. */
  readonly daemonPid?: number
  /** Every file below them counts: root and state, the CNI data directory, the log directory. */
  readonly directories: readonly string[]
}

/** By kind (`mounts`, `links`, …) what there is, each thing as one line; a thing that is there twice is there twice. */
export type HostSnapshot = ReadonlyMap<string, readonly string[]>

/**
 * All that a container runtime can leave behind on a host; of the cgroups, which no namespace keeps apart, those of
 * this run of hack/isolated, whose name is in their path. Others who use the same host are seen too: hack/isolated.
 */
export function takeHostSnapshot(scope: SnapshotScope): HostSnapshot {
  const kinds: { readonly [kind: string]: () => readonly string[] } = {
    mounts: () => mountsOf('self'),
    "daemon's mounts": () => (scope.daemonPid === undefined ? [] : mountsOf(`${scope.daemonPid}`)),
    'network namespaces': networkNamespaces,
    links: () => output('ip', '-o', 'link').map((line) => line.split(': ')[1] ?? line),
    'iptables rules': () => [...firewall('iptables-save'), ...firewall('ip6tables-save')],
    'nft rules': () => output('nft', '-s', 'list', 'ruleset').map((line) => line.trim()),
    sysctls: () => ['ip_forward', 'conf/all/route_localnet'].map(sysctl),
    cgroups: () => cgroupRoots().flatMap(directoriesBelow).filter(isOfThisRun),
    'devices of all': () => ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map(ownerOf),
    processes: () => processes(scope.daemonPid),
    files: () => scope.directories.flatMap(filesBelow).filter((path) => !CRUN_KEEPS.test(path)),
    'IPC objects': ipcObjects,
    "daemon's open files": () => (scope.daemonPid === undefined ? [] : openFiles(scope.daemonPid)),
  }
  return new Map(Object.entries(kinds).map(([kind, look]) => [kind, look()]))
}

/** `+ mounts: …` for what has come, `- mounts: …` for what has gone; empty when the host is as it was. */
export function differenceBetween(before: HostSnapshot, after: HostSnapshot): readonly string[] {
  return [...after.keys()].flatMap((kind) => {
    const [old, now] = [before.get(kind) ?? [], after.get(kind) ?? []]
    return [
      ...without(now, old).map((line) => `+ ${kind}: ${line}`),
      ...without(old, now).map((line) => `- ${kind}: ${line}`),
    ]
  })
}

/** `lines` less one of each of `others`. */
function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map<string, number>()
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const count = left.get(line) ?? 0
    left.set(line, count - 1)
    return count <= 0
  })
}

/** Mount point, type, source and options: the ids before them differ in each mount namespace. */
const mountsOf = (pid: string): readonly string[] =>
  linesOf(`/proc/${pid}/mountinfo`).map((line) =>
    line
      .split(' ')
      .slice(3)
      .join(' ')
      .replace(/ shared:\d+/, ''),
  )

function networkNamespaces(): readonly string[] {
  const inUse = new Set(pids().map((pid) => attempt(() => readlinkSync(`/proc/${pid}/ns/net`), '')))
  return [...inUse, ...attempt(() => readdirSync('/run/netns'), []).map((name) => `/run/netns/${name}`)]
}

/** Without the counters and the comments, which hold the time. */
const firewall = (program: string): readonly string[] =>
  output(program)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ''))

/** Of a device that every container has, too: who owns it may close it for the whole host. */
function ownerOf(name: string): string {
  const { uid, gid, mode } = statSync(`/dev/${name}`)
  return `/dev/${name} ${uid}:${gid} ${mode.toString(8)}`
}

const sysctl = (name: string): string => `${name} = ${linesOf(`/proc/sys/net/ipv4/${name}`)[0]}`

/** crun's own: compiled seccomp filters, one for each profile, and what it masks directories with; no more for each container. */
const CRUN_KEEPS = /\/oci\/crun\/\.(cache|empty-directory)/

/** The daemon makes the cgroup of its monitors with the first of them, and removes it when it stops. */
const isOfThisRun = (cgroup: string): boolean =>
  cgroup.includes(isolation()) && !cgroup.endsWith('/cri-ts-monitors')

const cgroupRoots = (): readonly string[] =>
  linesOf('/proc/self/mountinfo')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')

/** Every process with its pid but the daemon, which may be another one by now; one without a command line is a zombie (or a thread of the kernel). */
const processes = (daemonPid: number | undefined): readonly string[] =>
  pids().flatMap((pid) => {
    if (Number(pid) === daemonPid) return []
    const stat = linesOf(`/proc/${pid}/stat`)[0]
    const name = stat?.replace(/^.*?(\(.*\) .).*$/, '$1')
    const command = linesOf(`/proc/${pid}/cmdline`)[0]?.replaceAll('\0', ' ').trim()
    return stat === undefined || isKernelThread(stat) ? [] : [`${pid} ${command ?? name}`]
  })

const PF_KTHREAD = 0x00200000

/** By its flags, the ninth field of /proc/PID/stat; they come and go as the kernel likes. */
const isKernelThread = (stat: string): boolean =>
  (Number(stat.replace(/^.*\) /, '').split(' ')[6]) & PF_KTHREAD) !== 0

const filesBelow = (directory: string): readonly string[] =>
  attempt(
    () =>
      readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) =>
        join(entry.parentPath, entry.name),
      ),
    [],
  )

/** Parents first. */
export function directoriesBelow(directory: string): readonly string[] {
  return attempt(() => readdirSync(directory, { withFileTypes: true }), [])
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name))
    .flatMap((path) => [path, ...directoriesBelow(path)])
}

function ipcObjects(): readonly string[] {
  const sysv = ['shm', 'sem', 'msg'].flatMap((kind) =>
    linesOf(`/proc/sysvipc/${kind}`)
      .slice(1)
      .map((line) => `${kind} ${line.trim().split(/\s+/).slice(0, 3).join(' ')}`),
  )
  return [...sysv, ...filesBelow('/dev/shm'), ...messageQueues()]
}

const messageQueues = (): readonly string[] =>
  linesOf('/proc/self/mountinfo')
    .filter((line) => line.includes(' - mqueue '))
    .flatMap((line) => filesBelow(line.split(' ')[4] ?? ''))

/**
 * By kind, as numbers of sockets and pipes are never the same twice. Worker threads come and go as they are needed:
 * what belongs to an event loop (an epoll, an io_uring, an eventfd and two pipes) is not counted.
 */
function openFiles(pid: number): readonly string[] {
  const targets = attempt(() => readdirSync(`/proc/${pid}/fd`), [])
    .map((fd) => attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`), ''))
    .map((target) => target.replace(/:\[\d+\]$/, '').replace(/^\/proc\/\d+\//, '/proc/PID/'))
    .filter((target) => target !== '')
  const eventLoops = targets.filter((target) => target === EVENT_POLL)
  const theirs = [EVENT_POLL, 'anon_inode:[io_uring]', 'anon_inode:[eventfd]', 'pipe', 'pipe']
  return without(
    targets,
    eventLoops.flatMap(() => theirs),
  )
}

const EVENT_POLL = 'anon_inode:[eventpoll]'

const pids = (): readonly string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

const linesOf = (path: string): readonly string[] =>
  attempt(() => readFileSync(path, 'utf8').split('\n'), []).filter((line) => line !== '')

const output = (program: string, ...args: readonly string[]): readonly string[] =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .split('\n')
    .filter((line) => line !== '')

/** What is looked at may go away meanwhile. */
export function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AttachSockets } from '#linux/attach-sockets.ts'
import { cgroupAt, readHierarchies } from '#linux/cgroups.ts'
import { type Command, runCommand } from '#linux/command.ts'
import { ConmonMonitor } from '#linux/container-monitor.ts'
import { findProgram } from '#linux/find-program.ts'
import { readHostFacts } from '#linux/host-facts.ts'
import { createMonitorCgroups } from '#linux/monitor-cgroup.ts'
import { createObjectLocks } from '#linux/object-lock.ts'
import { createOciRuntime, type OciRuntimeOptions } from '#linux/oci-runtime.ts'
import { findProcesses } from '#linux/proc.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { problemOnHost } from '#linux/runtime-handlers.ts'
import type { MonitoredContainer, MonitorRequest } from '#runtime/monitor-port.ts'
import { buildOciSpec } from '#runtime/oci-spec/build-spec.ts'
import { noResources, withContainer } from '#runtime/oci-spec/sample-input.ts'

const conmon = findProgram('conmon') ?? 'conmon'
const applets = ['sh', 'cat', 'sleep', 'head', 'tr', 'setsid', 'kill', 'touch', 'true', 'printf', 'wc', 'yes']
/** The OCI runtimes that can run here: crun only where cgroups are not hybrid, as in hack/isolated. */
export const handlers = ['runc', 'crun'].filter((name) => problemOnHost(name) === '')

export type MonitorLab = ReturnType<typeof monitorLab>

/** The real monitor of containers, with each of the OCI runtimes. What it leaves is gone with it. */
export function monitorLab(conmonPath = conmon, more: Partial<OciRuntimeOptions> = {}) {
  const directory = mkdtempSync('/var/lib/cri-ts-test-')
  const cgroupParent = `/${process.env['CRI_TS_ISOLATED'] ?? 'cri-ts-test'}-${process.pid}`
  const options = monitorOptions(directory, conmonPath, more)
  const { hierarchies, monitorCgroups, watcher } = options
  let monitor = new ConmonMonitor(options)
  const opened = [monitor]
  return {
    directory,
    request: requests(directory, cgroupParent),
    monitor: (): ConmonMonitor => monitor,
    /** As a daemon that was started anew has it. */
    reopen(): void {
      monitor = new ConmonMonitor(options)
      opened.push(monitor)
    },
    async create(wanted: MonitorRequest): Promise<MonitoredContainer> {
      return { id: wanted.id, handler: wanted.handler, ...(await monitor.create(wanted)) }
    },
    log: ({ id }: { readonly id: string }) => readFileSync(join(directory, `${id}.log`), 'utf8'),
    /** Puts a process into a cgroup that is no container's. */
    moveElsewhere(pid: number): void {
      const elsewhere = join(cgroupParent, 'elsewhere')
      cgroupAt(hierarchies, elsewhere).create()
      for (const { path } of hierarchies.mounts) {
        writeFileSync(join(path, elsewhere, 'cgroup.procs'), `${pid}`)
      }
    },
    /** The directories of a cgroup, in whatever hierarchies it is there. */
    cgroupsNamed: (name: string): readonly string[] =>
      hierarchies.mounts.map(({ path }) => join(path, name)).filter((path) => existsSync(path)),
    removeCgroups: (name: string): Promise<void> => cgroupAt(hierarchies, `/${name}`).remove(),
    /** What there is of a container: processes with its id, cgroups, files but its log. */
    leftOf: (id: string): readonly string[] => [
      ...findProcesses((argv) => argv.some((word) => word.includes(id))).map((pid) => `process ${pid}`),
      ...hierarchies.mounts
        .map(({ path }) => join(path, cgroupParent, id))
        .filter((path) => existsSync(path)),
      ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
        (path) => path.includes(id) && path !== `${id}.log`,
      ),
    ],
    async [Symbol.asyncDispose]() {
      for (const id of await monitor.leftovers()) await monitor.remove(id, '')
      for (const each of opened) each[Symbol.dispose]()
      await cgroupAt(hierarchies, cgroupParent).remove()
      await options.attachments[Symbol.asyncDispose]()
      monitorCgroups[Symbol.dispose]()
      await watcher[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

function monitorOptions(directory: string, conmonPath: string, more: Partial<OciRuntimeOptions>) {
  const hierarchies = readHierarchies()
  const watcher = new ProcessWatcher()
  const locks = createObjectLocks(join(directory, 'locks'), 200)
  const run = (command: Command) => runCommand(watcher, command)
  const runtimeOf = (handler: string, path: string) =>
    createOciRuntime(
      {
        ...{ handler, path, program: handler, systemdCgroup: false, createTimeoutMs: 60_000 },
        ...{ stateDirectory: join(directory, 'oci', handler), monitorCgroup: undefined, ...more },
      },
      locks,
      run,
    )
  const runtimes = new Map([
    ...handlers.map((name) => [name, runtimeOf(name, findProgram(name) ?? name)] as const),
    ['missing', runtimeOf('missing', '/no/such/runtime')] as const,
  ])
  const paths = {
    home: (id: string) => join(directory, 'containers', id),
    exits: join(directory, 'exits'),
    containers: join(directory, 'containers'),
  }
  const monitorCgroups = createMonitorCgroups(hierarchies, [more.monitorCgroup])
  const attachments = new AttachSockets()
  return { conmonPath, paths, runtimes, hierarchies, locks, watcher, attachments, monitorCgroups }
}

/** Requests for containers that run a shell script in a root file system of busybox, each with an id of its own. */
function requests(directory: string, cgroupParent: string) {
  const rootfs = layOut(join(directory, 'rootfs'))
  const host = readHostFacts('cgroupfs')
  let count = 0
  return (handler: string, script: string, memoryLimitBytes = 0): MonitorRequest => {
    count += 1
    const id = `test-${process.pid}-${count}`
    const resources = { ...noResources, memoryLimitBytes, memorySwapLimitBytes: memoryLimitBytes }
    const cgroupsPath = `${cgroupParent}/${id}`
    const ociSpec = buildOciSpec({
      ...withContainer({ command: ['/bin/sh', '-c', script], resources }),
      ...{ host, cgroupsPath, rootfsPath: rootfs, containerId: id },
      namespaces: { network: undefined, ipc: undefined, uts: undefined, pid: 'private' },
      sandboxFiles: { resolvConf: rootfs, hosts: rootfs, hostname: rootfs, shm: undefined },
    })
    const mounts = ociSpec.mounts.filter(({ source }) => source !== rootfs)
    const logFile = join(directory, `${id}.log`)
    return {
      ...{ id, handler, cgroupsPath, logFile, ociSpec: { ...ociSpec, mounts } },
      ...{ tty: false, stdin: false, stdinOnce: false },
    }
  }
}

function layOut(rootfs: string): string {
  for (const name of ['bin', 'etc', 'tmp', 'dev', 'proc', 'sys']) {
    mkdirSync(join(rootfs, name), { recursive: true })
  }
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'))
  for (const name of applets) symlinkSync('busybox', join(rootfs, 'bin', name))
  return rootfs
}

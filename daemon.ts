import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Config } from '#config/config.ts'
import { imageService } from '#cri/image-service/service.ts'
import type { RuntimeStatus } from '#cri/runtime-service/runtime-status.ts'
import { runtimeService } from '#cri/runtime-service/service.ts'
import { startCriServer } from '#cri/server.ts'
import { StartGate } from '#cri/start-gate.ts'
import { type StreamingServer, startStreamingServer } from '#cri/streaming/server.ts'
import { describePlatform, type Platform } from '#image/platform.ts'
import { imagePuller } from '#image/pull.ts'
import { pullMetrics } from '#image/pull-metrics.ts'
import { storeMetrics } from '#image/store-metrics.ts'
import { CriError, describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { Metrics } from '#lib/metrics.ts'
import { type Command, runCommand } from '#linux/command.ts'
import { lockDaemon } from '#linux/daemon-lock.ts'
import { emulatorProblem } from '#linux/emulators.ts'
import { findProgram } from '#linux/find-program.ts'
import { keepGivingFreedMemoryBack } from '#linux/freed-memory.ts'
import { readHostFacts } from '#linux/host-facts.ts'
import { makeEnterable, makePrivate } from '#linux/private-directories.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { findHandlers } from '#linux/runtime-handlers.ts'
import { removeStaleSocket } from '#linux/stale-socket.ts'
import { userNamespaceProblem } from '#linux/user-namespace-support.ts'
import type { AppArmor } from '#runtime/apparmor-port.ts'
import type { Clock, RuntimePorts } from '#runtime/ports.ts'
import { createRuntime, type Runtime } from '#runtime/runtime.ts'
import { createPaths } from '#store/paths.ts'
import { openRecords } from '#store/records.ts'
import { imagePlatforms, serveCli } from './daemon-admin.ts'
import { runtimeHandler } from './daemon-handlers.ts'
import { openPorts } from './daemon-ports.ts'
import { openRegistries } from './daemon-registries.ts'
import { daemonStatus } from './daemon-status.ts'
import { openStore } from './daemon-store.ts'
import { certificateFiles } from './streaming-certificates.ts'

export interface DaemonOptions {
  readonly version: string
  readonly log: Log
  /** Stands between the runtime and each of its ports: tests stop the daemon there. */
  readonly wrapPort?: <Port extends object>(name: string, port: Port) => Port
  /** Called before each step of the image store, by name: to the same end. */
  readonly atImageStep?: (step: string) => void
}

const RETRY_INTERVAL_MS = 30_000
const DRAIN_MS = 10_000

/** Nanoseconds from the wall clock, with the precision of the monotonic one. */
const clock: Clock = {
  nowNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)).toString(),
}

/**
 * Brings the daemon up: locks its directories, serves Version and Status, reconciles with the host, then serves all.
 * Its disposal ends it; what runs in pods goes on.
 */
export async function startDaemon(config: Config, options: DaemonOptions): Promise<AsyncDisposable> {
  const { log, version } = options
  const wrap = options.wrapPort ?? ((_, port) => port)
  await using stack = new AsyncDisposableStack()
  const paths = createPaths({ ...config, ...config.image })
  stack.use(lockDaemon(join(paths.state, 'daemon.lock')))
  stack.use(lockDaemon(join(paths.root, 'daemon.lock')))
  makePrivate([paths.root, ...paths.privateState])
  makeEnterable(paths.enterableState)

  const watcher = stack.use(new ProcessWatcher())
  const run = (command: Command) => runCommand(watcher, command)
  const records = stack.adopt(openRecords(paths.recordsDatabase), (store) => store.close())
  const registry = openRegistries(config.image, { run, clock, log })
  const given = { config, paths, run, stack, clock, registry, containerIds: records.containerIds }
  const { images, guard } = await openStore({ ...given, ...options })
  const handlers = await findHandlers(config.runtime.handlers, run)
  const host = readHostFacts(config.runtime.cgroupDriver)
  const needs = { watcher, root: join(paths.imageRoot, 'layers'), homes: paths.userHomes }
  const problem = await userNamespaceProblem(needs)
  const parts = { config, paths, watcher, run, handlers, images, log, host, stack, records }
  const ports = wrapAll(wrap, openPorts(parts))
  const runtime = createRuntime({
    ...{ ports, host, log },
    options: {
      ...{ sandboxPaths: paths.sandbox, initPath, hostname, nowNs: clock.nowNs },
      mounts: config.runtime.mounts,
      userNamespaceProblem: problem,
      handler: (name) => runtimeHandler(name, handlers, config),
      defaults: config.runtime.defaults,
      confinement: config.runtime.confinement,
    },
  })

  const gate = new StartGate()
  const status = daemonStatus({
    ...{ config, version, host, handlers, network: ports.network, records, userNamespaceProblem: problem },
  })
  const store = wrap('images', images.store)
  const metrics = new Metrics()
  storeMetrics(metrics, images.store)
  const platforms = imagePlatforms(config)
  const puller = imagePuller({ store, registry, platforms, guard, observer: pullMetrics(metrics), log })
  const streaming = stack.use(await openStreaming(config, runtime, log))
  await removeStaleSocket(config.listen)
  const server = await startCriServer({
    socketPath: config.listen,
    runtimeService: runtimeService({
      ...{ sandboxes: runtime.sandboxes, containers: runtime.containers, commands: runtime.commands },
      ...{ stats: runtime.stats, streaming, gate, status },
    }),
    ...{ imageService: imageService({ store, puller, clock, handlers }), gate, log },
  })
  stack.defer(() => server.close(DRAIN_MS))
  stack.defer(() => runtime.interruptCheckpoints())
  await Promise.all([runtime.recover(), loadAppArmor(config, ports.apparmor, log)])
  for (const what of records.setAside())
    log.error({ record: what }, 'a record cannot be read and was set aside')
  stack.use(await serveCli(paths.adminSocket, { config, store, puller, images, metrics, registry, log }))
  const retries = setInterval(() => void runtime.retryUnfinished(), RETRY_INTERVAL_MS)
  stack.defer(() => clearInterval(retries))
  stack.use(keepGivingFreedMemoryBack())
  gate.open()
  await tellWhatIsMissing(status, platforms, log)
  log.info({ socket: config.listen, root: config.root, state: config.state }, 'serving')
  return stack.move()
}

/** Now rather than with the first container, and told where it fails; containers that would have it fail then. */
async function loadAppArmor({ runtime }: Config, apparmor: AppArmor, log: Log): Promise<void> {
  if (!apparmor.enabled || runtime.confinement.apparmorProfile !== undefined) return
  try {
    if ((await apparmor.loadDefault()) !== undefined) return
    log.warn(
      {},
      'AppArmor is enabled, but apparmor_parser is not installed: containers run without a default profile',
    )
  } catch (error) {
    log.error({ err: describeError(error) }, 'containers that ask for no other AppArmor profile will fail')
  }
}

/** The same as Status answers, for who reads the log of a daemon that can run nothing. */
async function tellWhatIsMissing(
  status: RuntimeStatus,
  platforms: readonly Platform[],
  log: Log,
): Promise<void> {
  const runtime = status.runtime()
  if (!runtime.ready) log.warn({ reason: runtime.reason }, runtime.message)
  const network = await status.network()
  if (!network.ready) log.warn({ reason: network.reason }, network.message)
  for (const platform of platforms) {
    const problem = emulatorProblem(platform.architecture)
    if (problem !== undefined) log.warn({ platform: describePlatform(platform) }, problem)
  }
}

function wrapAll(wrap: NonNullable<DaemonOptions['wrapPort']>, ports: RuntimePorts): RuntimePorts {
  const wrapped = Object.entries(ports).map(([name, port]) => [name, wrap(name, port as object)])
  return Object.fromEntries(wrapped) as RuntimePorts
}

function openStreaming({ streaming }: Config, runtime: Runtime, log: Log): Promise<StreamingServer> {
  const { address, port, tls, idleTimeoutMs } = streaming
  return startStreamingServer({
    ...{ address, port, idleTimeoutMs, log, sandboxes: runtime.sandboxes, commands: runtime.commands },
    tls: tls && {
      certificates: certificateFiles(tls.certFile, tls.keyFile),
      minVersion: `TLSv${tls.minVersion}`,
    },
  })
}

function initPath(): string {
  const path = findProgram('catatonit')
  if (path !== undefined) return path
  throw new CriError(
    'failed-precondition',
    'a pod with a shared PID namespace needs an init: install catatonit, or ask for namespace_options.pid = CONTAINER',
  )
}

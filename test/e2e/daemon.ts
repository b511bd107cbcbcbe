import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type CriClient, connect } from '#cri/client.ts'
import { cgroupDriver } from './cgroup-driver.ts'
import type { SnapshotScope } from './host-snapshot.ts'
import { bridgeNetwork } from './networks.ts'
import { until } from './until.ts'

const run = promisify(execFile)
const CRI_TS = new URL('../../bin/cri-ts', import.meta.url).pathname
const CRICTL = join(process.env['CRI_TS_CACHE'] ?? '/var/cache/cri-ts', 'crictl-v1.36.0/crictl')
const START_LIMIT_MS = 60_000 // In the guest, on a busy host.
const STOP_LIMIT_MS = 15_000
const ANSWER_LIMIT_BYTES = 64 << 20

export interface DaemonOptions {
  /** Lines of TOML that go into the configuration file, `[image]` table and all. */
  readonly config?: string
  /** The conf lists by file name; one bridge network with host ports unless given. */
  readonly networks?: { readonly [file: string]: string }
  readonly env?: { readonly [name: string]: string }
  /** `bin_dirs` of the `[cni]` table, in the place of the usual ones. */
  readonly cni?: string
  /** In place of bin/cri-ts: takes the same arguments. */
  readonly program?: readonly [string, ...string[]]
}

/** The built daemon on directories of its own. It may be stopped, killed and started again; `await using` ends it. */
export interface Daemon extends AsyncDisposable {
  /** Holds all that it has: root, state, conf lists, logs. */
  readonly directory: string
  readonly root: string
  readonly state: string
  readonly networks: string
  /** A directory for CNI plugins that a test brings. */
  readonly plugins: string
  readonly socket: string
  readonly rpc: CriClient['call']
  /** The answers of a streaming RPC. */
  readonly rpcs: CriClient['collect']
  readonly pid: () => number
  /** Where a leak check has to look. */
  readonly scope: () => SnapshotScope
  /** Answers crictl's stdout; throws with its stderr. */
  crictl(...args: readonly string[]): Promise<string>
  /** The program and its arguments, for who starts it himself. */
  crictlCommand(...args: readonly string[]): readonly [program: string, args: readonly string[]]
  /** The same of a command that prints JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: crictl's output, which each test looks into by name.
  crictlJson(...args: readonly string[]): Promise<any>
  criTs(...args: readonly string[]): Promise<string>
  start(): Promise<void>
  stop(): Promise<void>
  kill9(): Promise<void>
  log(): string
}

/** Starts a daemon, and waits until it serves. Everything of it is gone after its disposal. */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = prepareDaemon(options)
  await daemon.start()
  return daemon
}

interface Files {
  readonly directory: string
  readonly root: string
  readonly state: string
  readonly networks: string
  readonly plugins: string
  readonly configFile: string
  readonly logFile: string
  readonly crictlConfig: string
  readonly socket: string
}

function prepareFiles({ config = '', cni, networks }: DaemonOptions): Files {
  mkdirSync('/var/lib/cri-ts-test', { recursive: true })
  const directory = mkdtempSync('/var/lib/cri-ts-test/')
  const state = `/run/cri-ts-test-${basename(directory)}`
  const files = {
    directory,
    root: join(directory, 'root'),
    state,
    networks: join(directory, 'net.d'),
    plugins: join(directory, 'cni-bin'),
    configFile: join(directory, 'config.toml'),
    logFile: join(directory, 'daemon.log'),
    crictlConfig: join(directory, 'crictl.yaml'),
    socket: join(state, 'cri-ts.sock'),
  }
  mkdirSync(files.networks)
  mkdirSync(join(directory, 'config.d'))
  writeFileSync(join(directory, 'config.d/cgroups.toml'), `[runtime]\ncgroup_driver = "${cgroupDriver}"\n`)
  mkdirSync(files.plugins)
  for (const [file, text] of Object.entries(networks ?? { '10-pods.conflist': bridgeNetwork(directory) })) {
    writeFileSync(join(files.networks, file), text)
  }
  const top = { root: files.root, state, listen: files.socket, log_level: 'debug' }
  const lines = Object.entries(top).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  const binDirs = `bin_dirs = ["${files.plugins}", "/opt/cni/bin", "/usr/lib/cni"]`
  const cniTable = ['[cni]', `conf_dir = "${files.networks}"`, cni ?? binDirs]
  writeFileSync(files.configFile, `${[...lines, config, ...cniTable].join('\n')}\n`)
  writeFileSync(files.crictlConfig, '')
  return files
}

function prepareDaemon(options: DaemonOptions): Daemon {
  const files = prepareFiles(options)
  const { directory, root, state, networks, configFile, logFile, socket } = files
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')
  const client = connect(socket)
  const [program, ...first] = options.program ?? [CRI_TS]
  let child: ChildProcess | undefined

  const crictlCommand = (...args: readonly string[]) => {
    const where = ['--config', files.crictlConfig, '-r', `unix://${socket}`, '-i', `unix://${socket}`]
    return [CRICTL, [...where, '--timeout', '30s', ...args]] as const
  }
  const crictl = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(...crictlCommand(...args), { maxBuffer: ANSWER_LIMIT_BYTES })
    return stdout
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    if ((await Promise.race([exited, sleep(STOP_LIMIT_MS, 'late', { ref: false })])) !== 'late') return
    child.kill('SIGKILL')
    await exited
    throw new Error(`the daemon did not end within ${STOP_LIMIT_MS / 1000} s of ${signal}:\n${log()}`)
  }
  const daemon: Daemon = {
    directory,
    root,
    state,
    networks,
    plugins: files.plugins,
    socket,
    rpc: client.call,
    rpcs: client.collect,
    pid: () => child?.pid ?? 0,
    scope: () => ({
      daemonPid: child?.pid ?? 0,
      directories: [root, state, join(directory, 'cni'), networks],
    }),
    crictl,
    crictlCommand,
    crictlJson: async (...args) => JSON.parse(await crictl(...args)),
    criTs: async (...args) => (await run(program, [...first, '--config', configFile, ...args])).stdout,
    async start() {
      const fd = openSync(logFile, 'a')
      child = spawn(program, [...first, '--config', configFile, 'serve'], {
        stdio: ['ignore', fd, fd],
        env: { ...process.env, ...options.env },
      })
      const ready = (): Promise<boolean> => {
        if (child?.exitCode !== null) throw new Error(`it ended with status ${child?.exitCode}`)
        return serves(client)
      }
      await until('the daemon serves', ready, START_LIMIT_MS).catch((cause: unknown) => {
        throw new Error(`the daemon did not start:\n${log()}`, { cause })
      })
    },
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    log,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      await end('SIGTERM')
      rmSync(directory, { recursive: true, force: true })
      rmSync(state, { recursive: true, force: true })
    },
  }
  return daemon
}

/** ListContainers is answered only after the state has been reconciled. */
const serves = (client: CriClient): Promise<boolean> =>
  client.call('ListContainers', {}, { timeoutMs: 1000 }).then(
    () => true,
    () => false,
  )

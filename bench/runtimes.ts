import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type CriClient, connect, type Message } from '#cri/client.ts'
import { startDaemon } from '#test/e2e/daemon.ts'
import { bridgeNetwork } from '#test/e2e/networks.ts'
import { until } from '#test/e2e/until.ts'

/** A CRI server of this run; its disposal ends it and removes what it had. */
export interface Runtime extends AsyncDisposable {
  readonly name: string
  readonly client: CriClient
  readonly pid: number
  readonly directory: string
  /** From docker archives, under the names in them. */
  importImages(archives: readonly string[]): Promise<void>
}

export interface RuntimeOptions {
  /** `127.0.0.1:PORT`, spoken to without TLS. */
  readonly registry?: string
  /** Lines of TOML in cri-ts's configuration. */
  readonly config?: string
  /** For cri-ts. */
  readonly env?: { readonly [name: string]: string }
}

export const PAUSE_IMAGE = 'localhost/cri-ts/pause:latest'

const run = promisify(execFile)
const TREE = new URL('..', import.meta.url).pathname
const STARTS_WITHIN_MS = 30_000

/** By name: `cri-ts`, `cri-ts@TREE` of another tree, `containerd`, `crio`. */
export async function startRuntime(name: string, options: RuntimeOptions = {}): Promise<Runtime> {
  const [program = '', tree = TREE] = name.split('@')
  if (program === 'cri-ts') return await startCriTs(name, tree, options)
  if (name === 'containerd') return await startContainerd()
  if (name === 'crio') return await startCrio(options)
  throw new Error(`unknown runtime ${name}: cri-ts, cri-ts@TREE, containerd, crio`)
}

async function startCriTs(
  name: string,
  tree: string,
  { config = '', env = {} }: RuntimeOptions,
): Promise<Runtime> {
  const program = [join(tree, 'bin/cri-ts'), '--log-level', 'info'] as const
  const daemon = await startDaemon({ program, config, env })
  const client = connect(daemon.socket)
  return {
    name,
    client,
    pid: daemon.pid(),
    directory: daemon.directory,
    importImages: async (archives) => void (await daemon.criTs('images', 'import', ...archives)),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      await daemon[Symbol.asyncDispose]()
    },
  }
}

const startContainerd = (): Promise<Runtime> =>
  startOther({
    name: 'containerd',
    socket: 'containerd.sock',
    // Beside the other runtimes: a bridge and addresses of its own.
    bridge: ['ctrd-bench0', '10.211.78.'],
    args: [],
    importImages: (directory, archives) =>
      run(script('containerd'), ['import', directory, ...archives]).then(() => {}),
  })

const startCrio = ({ registry }: RuntimeOptions): Promise<Runtime> =>
  startOther({
    name: 'crio',
    socket: 'crio.sock',
    bridge: ['crio-bench0', '10.211.79.'],
    args: registry === undefined ? [] : [registry],
    importImages: () => Promise.reject(new Error('CRI-O imports no archives')),
  })

interface Other {
  /** Of its script in hack/ as well. */
  readonly name: string
  readonly socket: string
  readonly bridge: readonly [name: string, addresses: string]
  readonly args: readonly string[]
  importImages(directory: string, archives: readonly string[]): Promise<void>
}

const script = (name: string): string => join(TREE, 'hack', name)

async function startOther({ name, socket, bridge, args, importImages }: Other): Promise<Runtime> {
  mkdirSync('/var/lib/cri-ts-test', { recursive: true })
  const directory = mkdtempSync(`/var/lib/cri-ts-test/${name}-`)
  const networks = join(directory, 'net.d')
  const logFile = join(directory, 'daemon.log')
  mkdirSync(networks)
  const network = bridgeNetwork(directory).replace('cri-ts-e2e0', bridge[0]).replace('10.211.77.', bridge[1])
  writeFileSync(join(networks, '10-pods.conflist'), network)
  const log = openSync(logFile, 'a')
  const env = { ...process.env, PAUSE_IMAGE }
  const child = spawn(script(name), ['run', directory, networks, ...args], {
    stdio: ['ignore', log, log],
    env,
  })
  const client = connect(join(directory, socket))
  const runtime: Runtime = {
    name,
    client,
    pid: child.pid ?? 0,
    directory,
    importImages: (archives) => importImages(directory, archives),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      const exited = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGTERM')) await exited
      // CRI-O's, if they are there.
      for (const mount of [join(directory, 'storage/overlay'), '/var/lib/containers']) {
        await run('umount', [mount]).catch(() => {})
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
  try {
    await until(`${name} is ready`, () => isReady(client), STARTS_WITHIN_MS)
  } catch (cause) {
    const error = new Error(`${name} did not start:\n${readFileSync(logFile, 'utf8')}`, { cause })
    await runtime[Symbol.asyncDispose]()
    throw error
  }
  return runtime
}

async function isReady(client: CriClient): Promise<boolean> {
  const answer = await client.call('Status', {}, { timeoutMs: 1000 }).catch(() => undefined)
  const conditions: readonly Message[] = answer?.['status'].conditions ?? []
  const holds = (wanted: string): boolean =>
    conditions.some(({ type, status }) => type === wanted && status === true)
  return holds('RuntimeReady') && holds('NetworkReady')
}

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type CriClient, connect, type Message } from '#cri/client.ts'
import { startDaemon } from '#test/e2e/daemon.ts'
import { bridgeNetwork } from '#test/e2e/networks.ts'
import { streamClientPath } from '#test/e2e/stream-client.ts'
import { until } from '#test/e2e/until.ts'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'

/** Busybox with stream-client in it, which serves the loads. */
export const IMAGE = 'localhost/bench/streaming:latest'
export const PAUSE_IMAGE = 'localhost/cri-ts/pause:latest'

/** A CRI server of this run; its disposal ends it and removes what it had. */
export interface Runtime extends AsyncDisposable {
  readonly name: string
  readonly client: CriClient
  readonly pid: number
  readonly directory: string
}

export const starters: { readonly [name: string]: () => Promise<Runtime> } = {
  'cri-ts': startCriTs,
  containerd: startContainerd,
}

const run = promisify(execFile)
const CRI_TS = new URL('../bin/cri-ts', import.meta.url).pathname
const SCRIPT = new URL('../hack/containerd', import.meta.url).pathname
const STARTS_WITHIN_MS = 30_000

async function startCriTs(): Promise<Runtime> {
  const daemon = await startDaemon({ program: [CRI_TS, '--log-level', 'info'] })
  const client = connect(daemon.socket)
  await daemon.criTs('images', 'import', writeImages(daemon.directory).app)
  return {
    name: 'cri-ts',
    client,
    pid: daemon.pid(),
    directory: daemon.directory,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      await daemon[Symbol.asyncDispose]()
    },
  }
}

async function startContainerd(): Promise<Runtime> {
  mkdirSync('/var/lib/cri-ts-test', { recursive: true })
  const directory = mkdtempSync('/var/lib/cri-ts-test/containerd-')
  const networks = join(directory, 'net.d')
  const logFile = join(directory, 'containerd.log')
  mkdirSync(networks)
  // Beside the other runtime: a bridge and addresses of its own.
  const network = bridgeNetwork(directory)
    .replace('cri-ts-e2e0', 'ctrd-bench0')
    .replace('10.211.77.', '10.211.78.')
  writeFileSync(join(networks, '10-pods.conflist'), network)
  const log = openSync(logFile, 'a')
  const env = { ...process.env, PAUSE_IMAGE }
  const child = spawn(SCRIPT, ['run', directory, networks], { stdio: ['ignore', log, log], env })
  const client = connect(join(directory, 'containerd.sock'))
  const runtime: Runtime = {
    name: 'containerd',
    client,
    pid: child.pid ?? 0,
    directory,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      const exited = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGTERM')) await exited
      rmSync(directory, { recursive: true, force: true })
    },
  }
  try {
    await until('containerd is ready', () => isReady(client), STARTS_WITHIN_MS)
    const { app, pause } = writeImages(directory)
    await run(SCRIPT, ['import', directory, app, pause])
    await until('its image is there', () => hasImage(client), STARTS_WITHIN_MS)
  } catch (cause) {
    const error = new Error(`containerd did not start:\n${readFileSync(logFile, 'utf8')}`, { cause })
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

const hasImage = async (client: CriClient): Promise<boolean> =>
  (await client.call('ImageStatus', { image: { image: IMAGE } }))['image'] !== null

function writeImages(directory: string): { readonly app: string; readonly pause: string } {
  const client = { name: 'bin/stream-client', mode: 0o755, content: readFileSync(streamClientPath()) }
  const paths = { app: join(directory, 'app.tar'), pause: join(directory, 'pause.tar') }
  writeFileSync(paths.app, dockerArchive(busyboxImage({ files: [client] }), [IMAGE]))
  const pause = busyboxImage({ config: { Cmd: ['sleep', '2147483647'], Env: ['PATH=/bin'] } })
  writeFileSync(paths.pause, dockerArchive(pause, [PAUSE_IMAGE]))
  return paths
}

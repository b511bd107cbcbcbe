import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { built, CACHE } from '#test/fixtures/built.ts'
import type { Daemon } from './daemon.ts'
import { type Answer, kubeletApi } from './kubelet-api.ts'
import { kubeletCgroup, kubeletCommand, NODE_ADDRESS, prepareKubeletHost } from './kubelet-host.ts'
import type { Manifest, PodState } from './kubelet-pods.ts'
import { until } from './until.ts'

const PROGRAM = join(CACHE, 'kubelet-v1.36.3/kubelet')
const START_LIMIT_MS = 60_000
const POD_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 20_000
/** The node's name, with which kubelet ends the names of static pods. */
export const NODE = 'node'

/** A real kubelet on a daemon, without an API server: it runs the pods whose manifests lie in a directory. */
export interface Kubelet extends AsyncDisposable {
  start(): Promise<void>
  stop(): Promise<void>
  kill9(): Promise<void>
  /** All that it has logged since its first start. */
  log(): string
  /** Puts a static pod's manifest there, or another in its place. */
  apply(manifest: Manifest): void
  /** Takes a manifest away: kubelet ends the pod. */
  remove(name: string): void
  /** Waits until a pod is so, and answers it. */
  podThat(name: string, what: string, isSo: (pod: PodState) => boolean): Promise<PodState>
  /** Stops and removes all pods without it, once it has ended. */
  removeSandboxes(): Promise<void>
  /** The manifests that are there. */
  names(): readonly string[]
  get(path: string): Promise<Answer>
  post(path: string): Promise<Answer>
}

/** What README.md says that a node's is. */
function documentedConfiguration(): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const text = /^```yaml\n(apiVersion: kubelet.*?)^```/ms.exec(readme)?.[1]
  if (text === undefined) throw new Error('README.md has no configuration of kubelet')
  return text
}

/** What differs from it in a test. */
const configuration = (daemon: Daemon, manifests: string): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  containerRuntimeEndpoint: `unix://${daemon.socket}`,
  staticPodPath: manifests,
  address: '127.0.0.1',
  // There is no API server to be asked who may do what.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  cgroupRoot: kubeletCgroup(),
  volumePluginDir: '/var/lib/kubelet/volume-plugins',
  // What the host may lack.
  failSwapOn: false,
  oomScoreAdj: 0,
  imageGCHighThresholdPercent: 100,
  evictionHard: { 'memory.available': '20Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  // What one would have to wait for.
  crashLoopBackOff: { maxContainerRestartPeriod: '3s' },
  containerLogMaxSize: '16Ki',
  containerLogMonitorInterval: '3s',
})

/** Starts a kubelet on a daemon, with `changes` of its configuration, and waits until it is well. */
export async function startKubelet(daemon: Daemon, changes: object = {}): Promise<Kubelet> {
  const host = prepareKubeletHost(daemon.directory)
  const kubelet = kubeletOn(daemon, host, changes)
  try {
    await kubelet.start()
    return kubelet
  } catch (error) {
    await kubelet[Symbol.asyncDispose]()
    throw error
  }
}

function kubeletOn(daemon: Daemon, host: AsyncDisposable, changes: object): Kubelet {
  const manifests = join(daemon.directory, 'manifests')
  const logFile = join(daemon.directory, 'kubelet.log')
  mkdirSync(manifests)
  const flags = writeConfiguration(daemon, { ...configuration(daemon, manifests), ...changes })
  const api = kubeletApi('/var/lib/kubelet/pki/kubelet.crt', NODE)
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')
  const run = processOf(() => {
    const fd = openSync(logFile, 'a')
    const child = spawn(...kubeletCommand(daemon.directory, built(PROGRAM), flags), {
      stdio: ['ignore', fd, fd],
    })
    closeSync(fd)
    return child
  }, log)
  const removeSandboxes = async (): Promise<void> => {
    await run.end('SIGTERM')
    for (const { id } of (await daemon.rpc('ListPodSandbox'))['items']) {
      await daemon.rpc('StopPodSandbox', { pod_sandbox_id: id })
      await daemon.rpc('RemovePodSandbox', { pod_sandbox_id: id })
    }
  }
  return {
    ...api,
    ...manifestsIn(manifests),
    log,
    async start() {
      run.start()
      await until('kubelet is well', () => run.lives() && isWell(api), START_LIMIT_MS).catch(
        (cause: unknown) => {
          throw new Error(`kubelet did not start:\n${log()}`, { cause })
        },
      )
    },
    stop: () => run.end('SIGTERM'),
    kill9: () => run.end('SIGKILL'),
    podThat: (name, what, isSo) => podThat(() => podNamed(api, name), `pod ${name}: ${what}`, isSo),
    removeSandboxes,
    async [Symbol.asyncDispose]() {
      await removeSandboxes()
      await host[Symbol.asyncDispose]()
    },
  }
}

/** Answers the flags that go with it. */
function writeConfiguration({ directory }: Daemon, ours: object): readonly string[] {
  const [file, dropIns] = [join(directory, 'kubelet.yaml'), join(directory, 'kubelet.d')]
  mkdirSync(dropIns)
  writeFileSync(file, documentedConfiguration())
  writeFileSync(join(dropIns, '10-test.conf'), JSON.stringify(ours))
  const node = [`--hostname-override=${NODE}`, `--node-ip=${NODE_ADDRESS}`]
  return [`--config=${file}`, `--config-dir=${dropIns}`, ...node, '--v=2']
}

const manifestsIn = (directory: string): Pick<Kubelet, 'apply' | 'remove' | 'names'> => ({
  apply(manifest) {
    // kubelet passes over what begins with a dot.
    const draft = join(directory, `.${manifest.metadata.name}.json`)
    writeFileSync(draft, JSON.stringify(manifest))
    renameSync(draft, join(directory, `${manifest.metadata.name}.json`))
  },
  remove: (name) => rmSync(join(directory, `${name}.json`), { force: true }),
  names: () => readdirSync(directory).map((file) => basename(file, '.json')),
})

async function podNamed(api: Pick<Kubelet, 'get'>, name: string): Promise<PodState | undefined> {
  const { items } = JSON.parse((await api.get('/pods')).body) as { items: readonly PodState[] | null }
  return items?.find(({ metadata }) => metadata.name === `${name}-${NODE}`)
}

async function podThat(
  look: () => Promise<PodState | undefined>,
  what: string,
  isSo: (pod: PodState) => boolean,
): Promise<PodState> {
  let pod: PodState | undefined
  const holds = async (): Promise<boolean> => {
    pod = await look()
    return pod !== undefined && isSo(pod)
  }
  await until(what, holds, POD_LIMIT_MS).catch((cause: unknown) => {
    throw new Error(`${what}: it is not so\n${JSON.stringify(pod?.status, null, 1)}`, { cause })
  })
  if (pod === undefined) throw new Error(`${what}: it is gone`)
  return pod
}

async function isWell(api: Pick<Kubelet, 'get'>): Promise<boolean> {
  try {
    return (await api.get('/healthz')).body === 'ok'
  } catch {
    return false
  }
}

/** A process that may be ended and started again. */
function processOf(begin: () => ChildProcess, log: () => string) {
  let child: ChildProcess | undefined
  const lives = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null
  return {
    start() {
      child = begin()
    },
    lives() {
      if (!lives()) throw new Error(`it ended with ${child?.exitCode ?? child?.signalCode}`)
      return true
    },
    async end(signal: NodeJS.Signals) {
      if (child === undefined || !lives()) return
      const exited = once(child, 'exit')
      child.kill(signal)
      if ((await Promise.race([exited, sleep(STOP_LIMIT_MS, 'late', { ref: false })])) !== 'late') return
      child.kill('SIGKILL')
      await exited
      throw new Error(`kubelet did not end within ${STOP_LIMIT_MS / 1000} s of ${signal}:\n${log()}`)
    },
  }
}

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed } from 'vitest'
import type { Message } from '#cri/client.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { prepare } from './host.ts'
import { directoriesBelow } from './host-snapshot.ts'
import { kernelSettings, kubeletCgroups } from './kubelet-host.ts'
import { type Kubelet, NODE, startKubelet } from './kubelet-lab.ts'
import { errorsIn } from './kubelet-log.ts'
import type { Manifest } from './kubelet-pods.ts'
import { startLeakCheck } from './leak-check.ts'
import { until } from './until.ts'

const VOLUMES = '/var/lib/kubelet/pods'
/** Where kubelet keeps what pods have. */
const OF_PODS = ['/var/log/pods', '/var/log/containers', VOLUMES]
const STOPPED_WITHIN_MS = 60_000
/** kubelet collects dead containers and sandboxes once a minute. */
const COLLECTED_WITHIN_MS = 150_000

/** A daemon with a kubelet on it, as a node has them. */
export interface Node {
  readonly daemon: Daemon
  readonly kubelet: Kubelet
  /** What a pod's containers write below /evidence, which outlives them, by the file's name. */
  evidence(pod: string, file: string): string
  /** Those of a pod in the CRI, dead ones too. */
  sandboxes(pod: string): Promise<readonly Message[]>
  /** The running container of a pod, and its process. */
  running(pod: string, name?: string): Promise<{ readonly id: string; readonly pid: number }>
}

interface NodeOptions {
  /** The tests end and start the daemon, which kubelet then complains of. */
  readonly restarts?: boolean
  /** In the end kubelet is to collect all itself, as it does once a minute; else only to stop it. */
  readonly collects?: boolean
  readonly featureGates?: { readonly [name: string]: boolean }
  /** TOML for the daemon. */
  readonly config?: string
  /** What of kubelet's configuration differs from that of all tests. */
  readonly configuration?: object
}

/**
 * A node for the tests of a `describe`, with pods that handler `handler` runs. After them all pods are removed: the
 * host must be as before, the kernel's settings too, and neither kubelet nor the daemon may have logged an error.
 */
export function useNode(
  handler: string,
  manifests: (evidence: string) => readonly Manifest[],
  {
    restarts = false,
    collects = false,
    featureGates = {},
    config = '',
    configuration = {},
  }: NodeOptions = {},
): () => Node {
  const settings = kernelSettings()
  const started = new AsyncDisposableStack()
  let node: Node | undefined
  let leaks: ReturnType<typeof startLeakCheck>
  const there = (): Node => {
    if (node === undefined) throw new Error('the node was not started')
    return node
  }
  beforeAll(async () => {
    const withHandler = `[runtime]\ndefault_handler = "${handler}"\n${config}`
    const daemon = started.use(await startDaemon({ config: withHandler }))
    await prepare(daemon)
    const kubelet = started.use(await startKubelet(daemon, { featureGates, ...configuration }))
    await until('kubelet has made what it makes once for all', () => hasSettled(kubelet))
    await kubelet.stop()
    const directories = collects ? OF_PODS : []
    leaks = startLeakCheck(() => ({
      ...daemon.scope(),
      directories: [...daemon.scope().directories, ...directories],
    }))
    await kubelet.start()
    node = nodeOf(daemon, kubelet)
    const evidence = join(daemon.directory, 'evidence')
    mkdirSync(evidence)
    for (const manifest of manifests(evidence)) kubelet.apply(manifest)
  })
  afterAll(async () => {
    await using _ = started
    const { daemon, kubelet } = there()
    try {
      await removeAllPods(there(), collects)
      await kubelet.stop()
      await leaks.expectNone()
      expect(errorsIn(kubelet.log(), { restarts }), 'errors that kubelet logged').toEqual([])
      expect(errorsOf(daemon), 'errors that the daemon logged').toEqual([])
      expect(kernelSettings()).toEqual(settings)
    } catch (error) {
      console.error(kubelet.log(), daemon.log())
      throw error
    }
  }, 300_000)
  beforeEach(() => {
    const { kubelet, daemon } = there()
    const [from, since] = [kubelet.log().length, daemon.log().length]
    onTestFailed(() => console.error(kubelet.log().slice(from), daemon.log().slice(since)))
  })
  return there
}

/** It starts its plugin manager after it has made its cgroups, and makes a chain in each table of iptables. */
function hasSettled(kubelet: Kubelet): boolean {
  const chains = ['iptables-save', 'ip6tables-save'].map((program) =>
    execFileSync(program, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).matchAll(
      /^:KUBE-KUBELET-CANARY /gm,
    ),
  )
  return (
    kubelet.log().includes('Starting Kubelet Plugin Manager') &&
    chains.every((found) => [...found].length === 3)
  )
}

async function removeAllPods({ daemon, kubelet }: Node, collects: boolean): Promise<void> {
  for (const name of kubelet.names()) kubelet.remove(name)
  const sandboxes = async (): Promise<readonly Message[]> => (await daemon.rpc('ListPodSandbox'))['items']
  const isStopped = ({ state }: Message): boolean => state === 'SANDBOX_NOTREADY'
  await until('all pods are stopped', async () => (await sandboxes()).every(isStopped), STOPPED_WITHIN_MS)
  const cgroups = () => kubeletCgroups().flatMap(directoriesBelow).filter(isOfPod)
  const theirs = () => [...cgroups(), ...readdirSync(VOLUMES)]
  await until('kubelet has removed what pods had', () => theirs().length === 0, STOPPED_WITHIN_MS)
  if (!collects) return kubelet.removeSandboxes()
  const left = async () => [...(await sandboxes()), ...OF_PODS.flatMap((directory) => readdirSync(directory))]
  await until('kubelet has removed all', async () => (await left()).length === 0, COLLECTED_WITHIN_MS)
}

/** By the driver: `podUID`, `kubepods-besteffort-podUID.slice`. */
const isOfPod = (cgroup: string): boolean => /[/-]pod[0-9a-f_-]+(?:\.slice)?$/.test(cgroup)

const errorsOf = ({ log }: Daemon): readonly string[] =>
  log()
    .split('\n')
    .filter((line) => /"level":"(?:error|fatal)"/.test(line))

function nodeOf(daemon: Daemon, kubelet: Kubelet): Node {
  const isOf =
    (pod: string) =>
    ({ labels }: Message): boolean =>
      labels['io.kubernetes.pod.name'] === `${pod}-${NODE}`
  return {
    daemon,
    kubelet,
    evidence(pod, file) {
      const path = join(daemon.directory, 'evidence', pod, file)
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    },
    sandboxes: async (pod) => (await daemon.rpc('ListPodSandbox'))['items'].filter(isOf(pod)),
    async running(pod, name = 'main') {
      const all: readonly Message[] = (await daemon.rpc('ListContainers'))['containers'].filter(isOf(pod))
      const ids = all
        .filter(({ metadata, state }) => metadata.name === name && state === 'CONTAINER_RUNNING')
        .map(({ id }) => String(id))
      expect(ids, `running containers ${name} of pod ${pod}`).toHaveLength(1)
      const [id = ''] = ids
      return { id, pid: (await daemon.crictlJson('inspect', id)).info.pid }
    },
  }
}

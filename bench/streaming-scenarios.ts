import { setTimeout as sleep } from 'node:timers/promises'
import { type Ended, forwardPorts, runStream, startStreamClient } from '#test/e2e/stream-client.ts'
import type { Runtime } from './runtimes.ts'
import { latencyOf } from './samples.ts'
import { ports, type StreamingPod } from './streaming-pod.ts'
import type { Figure } from './streaming-table.ts'
import { watched } from './streaming-watch.ts'

type Scenario = (runtime: Runtime, pod: StreamingPod) => Promise<readonly Figure[]>

const MIB = 1 << 20
const GIB = 1 << 30
const STDIN_BYTES = 256 * MIB
const CONNECTIONS = 200
const EXECS = 50
const IDLE_MS = 1000
/** Busybox's head reads bytewise, 250 MiB/s; its dd is not what limits. */
const GIB_OF_ZEROS = ['sh', '-c', 'dd if=/dev/zero bs=64k count=16384 2>/dev/null']
/** The shell keeps stdout open: containerd ends stdin once the process has closed its stdout. */
const STDIN_DRAIN = ['sh', '-c', 'cat >/dev/null; true']

/** By letter, as `--scenarios` names them. */
export const scenarios: readonly (readonly [letter: string, scenario: Scenario])[] = [
  ['i', (runtime) => loaded(runtime, 'idle', () => sleep(IDLE_MS, []))],
  ['a', (runtime, pod) => loaded(runtime, 'exec, 1 GiB of stdout, SPDY', () => execOutput(pod, 'spdy'))],
  [
    'a',
    (runtime, pod) => loaded(runtime, 'exec, 1 GiB of stdout, WebSocket', () => execOutput(pod, 'websocket')),
  ],
  ['b', (_, pod) => execInput(pod)],
  ['c', (runtime, pod) => loaded(runtime, 'port-forward, 1 GiB down', () => download(pod))],
  ['c', (runtime, pod) => loaded(runtime, 'port-forward, 256 MiB up', () => upload(pod))],
  [
    'c',
    (runtime, pod) => loaded(runtime, `port-forward, ${CONNECTIONS} × 100 KiB`, () => manyConnections(pod)),
  ],
  ['d', (_, pod) => execLatency(pod)],
]

type Measured = readonly Omit<Figure, 'name' | 'of'>[]

/** What the load itself measures, and how the daemon did under it. */
async function loaded(
  runtime: Runtime,
  name: string,
  work: () => Promise<Measured>,
): Promise<readonly Figure[]> {
  const { result, versionMs, rssBeforeMiB, rssMaxMiB } = await watched(runtime, work)
  const at = (share: number): number => versionMs[Math.floor(share * versionMs.length)] ?? Number.NaN
  return [
    ...result.map((figure) => ({ ...figure, name, of: 'median' as const })),
    { name: `${name}: Version p50`, unit: 'ms', of: 'median', value: at(0.5) },
    { name: `${name}: Version p99`, unit: 'ms', of: 'median', value: at(0.99) },
    { name: `${name}: daemon RSS before`, unit: 'MiB', of: 'median', value: rssBeforeMiB },
    { name: `${name}: daemon RSS max`, unit: 'MiB', of: 'max', value: rssMaxMiB },
  ]
}

async function execOutput(pod: StreamingPod, transport: 'spdy' | 'websocket'): Promise<Measured> {
  // The same protocol in both runtimes: the newest that all have.
  const protocol = 'v4.channel.k8s.io'
  const url = await pod.exec(GIB_OF_ZEROS, ['stdout'])
  const streams = ['stdout'] as const
  const ended = await runStream('exec', url, { transport, protocol, streams, stdoutFile: '/dev/null' })
  return [throughput(ended, ended.stdoutBytes, GIB)]
}

async function execInput(pod: StreamingPod): Promise<readonly Figure[]> {
  const url = await pod.exec(STDIN_DRAIN, ['stdin', 'stdout'])
  const ended = await runStream('exec', url, {
    protocol: 'v4.channel.k8s.io',
    streams: ['stdin', 'stdout'],
    stdinFile: '/dev/zero',
    args: ['--stdin-limit', `${STDIN_BYTES}`],
  })
  const figure = throughput(ended, ended.stdinBytes, STDIN_BYTES)
  return [{ ...figure, name: 'exec, 256 MiB of stdin, SPDY', of: 'median' }]
}

const download = (pod: StreamingPod): Promise<Measured> =>
  forwarded(pod, ports.download.port, ['--receive', `${GIB}`], (ended) => [
    throughput(ended, ended.stdoutBytes, GIB),
  ])

const upload = (pod: StreamingPod): Promise<Measured> => {
  const { port, receive, send } = ports.upload
  const args = ['--send', `${receive}`, '--receive', `${send}`]
  return forwarded(pod, port, args, (ended) => [throughput(ended, ended.stdinBytes, receive)])
}

const manyConnections = (pod: StreamingPod): Promise<Measured> => {
  const { port, send } = ports.small
  const args = ['--connections', `${CONNECTIONS}`, '--receive', `${send}`]
  return forwarded(pod, port, args, (ended) => [
    { unit: 'ms', value: complete(ended, ended.stdoutBytes, CONNECTIONS * send).elapsedMs },
  ])
}

async function forwarded(
  pod: StreamingPod,
  port: number,
  load: readonly string[],
  measure: (ended: Ended) => Measured,
): Promise<Measured> {
  await using forward = await forwardPorts(await pod.portForward(), [port])
  await using client = startStreamClient(['load', '--address', `127.0.0.1:${forward.port(port)}`, ...load])
  return measure(await client.ended)
}

/** From the Exec call to the end of the process, less the start of the client. */
async function execLatency(pod: StreamingPod): Promise<readonly Figure[]> {
  const values: number[] = []
  for (let run = 0; run < EXECS; run += 1) {
    const begin = performance.now()
    const url = await pod.exec(['true'], ['stdout', 'stderr'])
    const answered = performance.now() - begin
    const ended = complete(await runStream('exec', url, { protocol: 'v4.channel.k8s.io' }), 0, 0)
    values.push(answered + ended.elapsedMs)
  }
  const { p50, p95 } = latencyOf('exec', values)
  return [
    { name: 'exec of true, SPDY: p50', unit: 'ms', of: 'median', value: p50 },
    { name: 'exec of true, SPDY: p95', unit: 'ms', of: 'median', value: p95 },
  ]
}

const throughput = (ended: Ended, bytes: number, wanted: number) => ({
  unit: 'MiB/s',
  value: bytes / MIB / (complete(ended, bytes, wanted).elapsedMs / 1000),
})

/** A load that was cut short measures nothing. */
function complete(ended: Ended, bytes: number, wanted: number): Ended {
  if (ended.error === '' && bytes === wanted) return ended
  throw new Error(`${bytes} of ${wanted} bytes came: ${ended.error || 'no error'}`)
}

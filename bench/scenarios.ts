import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds, footprint, totalPssKiB } from './footprint.ts'
import { type BenchPod, type BenchTarget, startPod } from './pod.ts'
import { type Latency, Samples } from './samples.ts'

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
}

export interface Result {
  readonly latencies: readonly Latency[]
  readonly figures: readonly Figure[]
}

/** A pod's whole life, `count` times, `atOnce` at a time. */
export async function lifecycle(target: BenchTarget, count: number, atOnce: number): Promise<Result> {
  await (await startPod(target)).remove()
  const samples = new Samples()
  const begin = performance.now()
  await each(count, atOnce, async () => {
    const pod = await startPod(target, samples)
    await sleep(LINGER_MS) // A SIGTERM before PID 1 has set its handler is lost.
    await pod.remove(samples)
  })
  const seconds = (performance.now() - begin) / 1000
  return {
    latencies: samples.latencies(),
    figures: [{ name: 'throughput', value: count / seconds, unit: 'pods/s' }],
  }
}

/** The same pods with and without the runtime's seccomp profile, in turns. */
export async function seccompCost(target: BenchTarget, count: number): Promise<Result> {
  const variants = (['Unconfined', 'RuntimeDefault'] as const).map((seccomp) => ({
    seccomp,
    samples: new Samples(),
    target: seccomp === 'RuntimeDefault' ? { ...target, seccomp } : target,
  }))
  await (await startPod(target)).remove()
  for (let n = 0; n < count; n += 1) {
    for (const { target, samples } of n % 2 === 0 ? variants : variants.toReversed()) {
      const pod = await startPod(target, samples)
      await sleep(LINGER_MS)
      await pod.remove()
    }
  }
  const latencies = variants.flatMap(({ seccomp, samples }) =>
    samples.latencies().map((latency) => ({ ...latency, name: `${latency.name}, ${seccomp}` })),
  )
  return { latencies, figures: [] }
}

export async function execSync(target: BenchTarget): Promise<Result> {
  const pod = await startPod(target)
  const samples = new Samples()
  const run = async (): Promise<void> => {
    const request = { container_id: pod.containerId, cmd: ['true'], timeout: 30 }
    const { exit_code } = await target.client.call('ExecSync', request)
    if (exit_code !== 0) throw new Error(`true ended with ${exit_code}`)
  }
  await run()
  await each(100, 1, () => samples.time('one after another', run))
  await each(200, 10, () => samples.time('10 at a time', run))
  await pod.remove()
  return { latencies: samples.latencies(), figures: [] }
}

/** `count` pods that stay: memory, lists, idle CPU; then a SIGKILL of the daemon and its recovery, by `restart`. */
export async function held(
  target: BenchTarget,
  count: number,
  daemon: { readonly pid: () => number; readonly restart: () => Promise<void> },
): Promise<Result> {
  const before = totalPssKiB(footprint(daemon.pid(), 'conmon'))
  const pods: BenchPod[] = []
  await each(count, 4, async () => void pods.push(await startPod(target)))
  const samples = new Samples()
  await sleep(SETTLE_MS)
  const after = footprint(daemon.pid(), 'conmon')
  const cpuBefore = cpuSeconds(daemon.pid())
  await sleep(IDLE_MS)
  const idlePercent = ((cpuSeconds(daemon.pid()) - cpuBefore) * 100_000) / IDLE_MS
  for (const rpc of [
    'Status',
    'ListPodSandbox',
    'ListContainers',
    'ListContainerStats',
    'ListPodSandboxStats',
  ]) {
    await each(50, 1, async () => void (await samples.time(rpc, () => target.client.call(rpc))))
  }
  await samples.time('SIGKILL to served again', async () => {
    process.kill(daemon.pid(), 'SIGKILL')
    await daemon.restart()
  })
  const states = await Promise.all(pods.map((pod) => pod.state()))
  await each(count, 4, async () => void (await pods.pop()?.remove()))
  return {
    latencies: samples.latencies(),
    figures: [
      ...after.map(({ program, count, pssKiB }) => ({
        name: `PSS of ${count} ${program}`,
        value: pssKiB / 1024,
        unit: 'MiB',
      })),
      { name: 'PSS per pod', value: (totalPssKiB(after) - before) / count, unit: 'KiB' },
      { name: 'idle CPU of the daemon, of one core', value: idlePercent, unit: '%' },
      {
        name: 'containers running after SIGKILL',
        value: states.filter((one) => one === 'CONTAINER_RUNNING').length,
        unit: '',
      },
    ],
  }
}

const LINGER_MS = 20
const SETTLE_MS = 3000
const IDLE_MS = 10_000

/** Works `count` times, `atOnce` at a time. */
async function each(count: number, atOnce: number, work: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await work()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { until } from '#test/e2e/until.ts'
import { cpuSeconds } from './footprint.ts'
import type { Runtime } from './runtimes.ts'
import type { Figure } from './streaming-table.ts'
import { watched } from './streaming-watch.ts'

const run = promisify(execFile)
const PULL_LIMIT_MS = 300_000
const QUIET_LIMIT_MS = 60_000
const LOOK_EVERY_MS = 250
/** What a daemon without work may use between two looks. */
const IDLE_SECONDS = 0.02

/** One pull of an image that isn't there, and its removal; with `watch`, what others had of the daemon meanwhile too. */
export async function measurePull(
  runtime: Runtime,
  image: string,
  { watch }: { readonly watch: boolean },
): Promise<readonly Figure[]> {
  await settle(runtime)
  const pull = (): Promise<number> => timed(runtime, 'PullImage', image)
  resetPeak(runtime.pid)
  const cpuBefore = cpuSeconds(runtime.pid)
  const figures = watch
    ? await underWatch(runtime, pull)
    : [{ name: 'pull', unit: 'ms', of: 'median' as const, value: await pull() }]
  const peak = { name: 'daemon RSS peak', unit: 'MiB', of: 'max' as const, value: peakMiB(runtime.pid) }
  const cpu = {
    name: 'daemon CPU',
    unit: 's',
    of: 'median' as const,
    value: cpuSeconds(runtime.pid) - cpuBefore,
  }
  const removal = await timed(runtime, 'RemoveImage', image)
  const load = { name: 'load average', unit: '', of: 'median' as const, value: loadavg()[0] ?? 0 }
  return [...figures, cpu, peak, { name: 'removal', unit: 'ms', of: 'median', value: removal }, load]
}

async function timed({ client }: Runtime, rpc: string, image: string): Promise<number> {
  const begin = performance.now()
  await client.call(rpc, { image: { image } }, { timeoutMs: PULL_LIMIT_MS })
  return performance.now() - begin
}

/** Waits until the daemon has done what it does after an answer, and until the disk has what was written. */
export async function settle({ name, pid }: Runtime): Promise<void> {
  let before = Number.NEGATIVE_INFINITY
  const isQuiet = async (): Promise<boolean> => {
    await sleep(LOOK_EVERY_MS)
    const now = cpuSeconds(pid)
    const used = now - before
    before = now
    return used <= IDLE_SECONDS
  }
  await until(`${name} has nothing to do`, isQuiet, QUIET_LIMIT_MS)
  await run('sync')
}

async function underWatch(runtime: Runtime, pull: () => Promise<number>): Promise<readonly Figure[]> {
  const file = loopDelayFile(runtime)
  if (file !== undefined) process.kill(runtime.pid, 'SIGUSR2')
  const { versionMs } = await watched(runtime, pull)
  if (file !== undefined) process.kill(runtime.pid, 'SIGUSR2')
  const loop = file === undefined ? [] : await loopFigures(file)
  return [...percentiles('Version', versionMs), ...loop]
}

/** Where bench/loop-delay.ts, when the daemon has it, writes to. */
function loopDelayFile({ pid }: Runtime): string | undefined {
  return /(?:^|\0)LOOP_DELAY_FILE=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1]
}

async function loopFigures(file: string): Promise<readonly Figure[]> {
  await until(`${file} is written`, () => existsSync(file))
  const samples: readonly { lateMs: number; workedMs: number }[] = JSON.parse(readFileSync(file, 'utf8'))
  rmSync(file)
  return [
    ...percentiles(
      'loop late by',
      samples.map(({ lateMs }) => lateMs),
    ),
    ...percentiles(
      'loop at work for',
      samples.map(({ workedMs }) => workedMs),
    ),
  ]
}

function percentiles(name: string, values: readonly number[]): readonly Figure[] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  const figure = (what: string, value: number): Figure => ({
    name: `${name} ${what}`,
    unit: 'ms',
    of: 'median',
    value,
  })
  return [figure('p50', at(0.5)), figure('p99', at(0.99)), figure('max', sorted.at(-1) ?? Number.NaN)]
}

/** From here on VmHWM is the peak since now. */
const resetPeak = (pid: number): void => writeFileSync(join('/proc', `${pid}`, 'clear_refs'), '5')

function peakMiB(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(join('/proc', `${pid}`, 'status'), 'utf8'))?.[1]
  return Number(kib) / 1024
}

import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Daemon, startDaemon } from '#test/e2e/daemon.ts'
import { prepare } from '#test/e2e/host.ts'
import { differenceBetween, type HostSnapshot, takeHostSnapshot } from '#test/e2e/host-snapshot.ts'
import { until } from '#test/e2e/until.ts'
import { ordersIn } from './crash-points.ts'
import { programPoints } from './program-points.ts'
import { registryProxy } from './registry-proxy.ts'

/** A daemon that ends itself by SIGKILL on order, and what the host looked like before it had anything to do. */
export interface CrashLab extends AsyncDisposable {
  readonly daemon: Daemon
  /** An image in a registry, by way of a proxy that ends the daemon in the middle of a layer. */
  readonly imageToPull: string
  /** Calls, and answers the effects it took up to `last`, one each: `network.attach#1`, `program bridge ADD`. */
  record(rpc: string, request: object, last?: string): Promise<readonly string[]>
  /** The same of the next start. */
  recordStart(): Promise<readonly string[]>
  /** Calls with the order to end at `point`, waits for that end and, unless it is to stay away, starts the daemon again. */
  crash(point: string, rpc: string, request: object, stayAway?: boolean): Promise<void>
  /** Starts the daemon, which ends at `point`, and starts it once more. */
  crashStart(point: string): Promise<void>
  /** Calls, and answers when the program is there that the order `hold …` stops; `release` lets it go on. */
  hold(point: string, call: () => Promise<unknown>): Promise<{ readonly release: () => Promise<void> }>
  /** Waits until the host is as it was before; throws with what differs. */
  expectClean(): Promise<void>
}

const CLEAN_WITHIN_MS = 5_000
const HOME = new URL('../..', import.meta.url).pathname

export async function openCrashLab(): Promise<CrashLab> {
  await using undo = new AsyncDisposableStack()
  const directory = mkdtempSync('/run/cri-ts-crash-')
  undo.defer(() => rmSync(directory, { recursive: true, force: true }))
  const daemon = undo.use(
    await startDaemon({
      ...programPoints(directory),
      program: [process.execPath, await crashingDaemon(directory)],
      env: { CRI_TS_CRASH_ORDERS: directory },
    }),
  )
  const proxy = undo.use(await registryProxy(directory))
  await prepare(daemon)
  const resources = undo.move()
  const before = snapshot(daemon)
  return {
    daemon,
    imageToPull: proxy.image,
    async record(rpc, request, last) {
      return recordEffects(directory, daemon, async () => void (await daemon.rpc(rpc, request)), last)
    },
    recordStart: () => recordEffects(directory, daemon, () => daemon.start()),
    async crash(point, rpc, request, stayAway = false) {
      await endAt(point, directory, daemon, () => daemon.rpc(rpc, request))
      if (stayAway) return
      await daemon.start()
      if (point.startsWith('program ')) await releaseProgram(directory)
    },
    async crashStart(point) {
      await endAt(point, directory, daemon, () => daemon.start(), true)
      await daemon.start()
    },
    hold: (point, call) => holdAt(point, directory, daemon, call),
    expectClean: () => expectClean(before, daemon),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** From the sources it would take a second to start. */
async function crashingDaemon(directory: string): Promise<string> {
  const home = join(directory, 'bundle')
  await promisify(execFile)(process.execPath, [
    join(HOME, 'hack/build.ts'),
    home,
    'test/crash/crashing-daemon.ts',
  ])
  symlinkSync(join(HOME, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  return join(home, 'crashing-daemon.js')
}

async function recordEffects(
  directory: string,
  daemon: Daemon,
  act: () => Promise<void>,
  last = '',
): Promise<readonly string[]> {
  const { order, journal } = ordersIn(directory)
  rmSync(journal, { force: true })
  give(order, daemon, '')
  await act()
  const recorded = (): readonly string[] => readFileSync(journal, 'utf8').trim().split('\n')
  await until(`${last} is there`, () => last === '' || recorded().includes(last))
  rmSync(order)
  return [...new Set(recorded())]
}

/** With `starts` it is the daemon that the act begins with. */
async function endAt(
  point: string,
  directory: string,
  daemon: Daemon,
  act: () => Promise<unknown>,
  starts = false,
): Promise<void> {
  const { order } = ordersIn(directory)
  give(order, daemon, point)
  const before = daemon.pid()
  const answered = act().catch(() => undefined)
  const pid = starts ? daemon.pid() : before
  try {
    await until(`the daemon ends ${point}`, () => !existsSync(`/proc/${pid}`))
  } catch (cause) {
    throw new Error(`it went on, and answered ${JSON.stringify(await answered)}`, { cause })
  } finally {
    rmSync(order, { force: true })
  }
  if (!starts) await answered
}

/** What the program still does comes after the daemon has looked at the host, unless that waits for it. */
async function releaseProgram(directory: string): Promise<void> {
  const { program, release } = ordersIn(directory)
  const pid = readFileSync(program, 'utf8').trim()
  writeFileSync(release, '')
  await until('the program ends', () => !existsSync(`/proc/${pid}`))
  for (const path of [program, release]) rmSync(path)
}

async function holdAt(point: string, directory: string, daemon: Daemon, call: () => Promise<unknown>) {
  const { order, program } = ordersIn(directory)
  give(order, daemon, point)
  const called = call().catch(() => undefined)
  await until(
    `it comes to ${point}`,
    () => existsSync(program) && readFileSync(program, 'utf8').endsWith('\n'),
  )
  return {
    async release() {
      await releaseProgram(directory)
      await called
    },
  }
}

/** Whole at once: it is read while it is written. */
function give(order: string, daemon: Daemon, point: string): void {
  writeFileSync(`${order}.new`, `${point}\n${daemon.pid()}\n${randomUUID()}\n`)
  renameSync(`${order}.new`, order)
}

/** Without the daemon, which is another after each crash. */
function snapshot(daemon: Daemon): HostSnapshot {
  const taken = new Map(takeHostSnapshot({ directories: daemon.scope().directories }))
  const others = taken.get('processes')?.filter((line) => !line.startsWith(`${daemon.pid()} `))
  return taken.set('processes', others ?? [])
}

async function expectClean(before: HostSnapshot, daemon: Daemon): Promise<void> {
  let difference: readonly string[] = []
  const isClean = (): boolean => {
    difference = differenceBetween(before, snapshot(daemon))
    return difference.length === 0
  }
  await until('the host is as it was', isClean, CLEAN_WITHIN_MS).catch((cause: unknown) => {
    throw new Error(`the host is not as it was:\n  ${difference.join('\n  ')}`, { cause })
  })
}

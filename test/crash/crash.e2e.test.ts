import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { HANDLERS } from '#test/e2e/host.ts'
import { podConfig } from '#test/e2e/pod.ts'
import { type CrashLab, openCrashLab } from './crash-lab.ts'
import { imageOperations } from './image-operations.ts'
import { OPERATIONS, type Operation } from './operations.ts'
import { endPod, type Subject, subjectOf } from './subject.ts'

const LIMIT_MS = 240_000
const FAILED_PRECONDITION = 9
const CANCELLED = 1
/** Whose calls begin a program before they first wait: the daemon ends while that does its work. */
const PROGRAMS_BEGIN = /^monitor\.(create|start|release)#/
/** What is one point already. */
const IS_POINT = /^(program|download) /
/** What differs by OCI runtime: the second is not killed at all the rest once more, but for `hack/test --full`. */
const OF_RUNTIME = /^(monitor\.|program )/
const IS_FULL = process.env['CRI_TS_FULL'] !== undefined
/** A step tells only that it begins. */
const IS_STEP = /^imageStore\./

let lab: CrashLab
beforeAll(async () => {
  lab = await openCrashLab()
})
afterAll(() => lab?.[Symbol.asyncDispose]())

for (const handler of HANDLERS) {
  test.for(OPERATIONS.map((operation) => [operation.name, operation] as const))(
    `${handler}: SIGKILL before and after every effect of %s, then the same call again`,
    { timeout: LIMIT_MS },
    ([, operation]) => surviveAll(operation, handler),
  )

  test(`${handler}: a RunPodSandbox whose caller hangs up is joined by the next, which answers the one sandbox`, async () => {
    const { rpc } = lab.daemon
    const request = { config: podConfig(lab.daemon), runtime_handler: handler }
    const caller = new AbortController()
    const hungUp = rpc('RunPodSandbox', request, { signal: caller.signal })
    const { release } = await lab.hold('hold bridge ADD', () => hungUp)
    caller.abort()
    await expect(hungUp).rejects.toMatchObject({ code: CANCELLED })
    const again = rpc('RunPodSandbox', request)
    expect((await rpc('ListPodSandbox'))['items']).toEqual([])
    await release()
    const { pod_sandbox_id: id } = await again
    expect((await rpc('ListPodSandbox'))['items']).toMatchObject([{ id, state: 'SANDBOX_READY' }])
    await rpc('RemovePodSandbox', { pod_sandbox_id: id })
    await lab.expectClean()
  })
}

test.for(['PullImage', 'RemoveImage'] as const)(
  'SIGKILL before and after every effect of %s, then the same call again',
  { timeout: LIMIT_MS },
  (rpc) => surviveAll(imageOperations(lab.imageToPull)[rpc], HANDLERS[0]),
)

/** What is left half made, and how. */
const HALF_MADE = [
  ['RunPodSandbox with a shared PID namespace', 'before sandboxRecords.put#2'],
  ['CreateContainer', 'before containerRecords.put#2'],
  ['StopContainer', 'after monitor.signal#1'],
  ['StopPodSandbox', 'after sandboxRecords.put#1'],
] as const

test.for(HALF_MADE)(
  'SIGKILL before and after every effect of the start after a %s that ended %s, then the same call again',
  { timeout: LIMIT_MS },
  async ([name, point]) => {
    const operation = OPERATIONS.find((each) => each.name === name)
    if (operation === undefined) throw new Error(`there is no operation ${name}`)
    const recover = async (start: () => Promise<unknown>): Promise<void> => {
      const subject = subjectOf(lab.daemon, HANDLERS[0], operation)
      await operation.prepare(subject)
      await lab.crash(point, operation.rpc, operation.request(subject), true)
      await start()
      await operation.check(subject, await again(operation, subject))
      await endPod(subject)
      await lab.expectClean()
    }
    let effects: readonly string[] = []
    await recover(async () => {
      effects = await lab.recordStart()
    })
    await eachPoint(pointsOf(effects.filter((effect) => !IS_POINT.test(effect))), (second) =>
      recover(() => lab.crashStart(second)),
    )
  },
)

async function surviveAll(operation: Operation, handler: string): Promise<void> {
  const effects = await recordedEffects(operation, handler)
  const isWanted = (effect: string): boolean => IS_FULL || handler === HANDLERS[0] || OF_RUNTIME.test(effect)
  const points = pointsOf(effects.filter(isWanted))
  await eachPoint(points, (point) => survive(point, operation, handler))
}

async function eachPoint(points: readonly string[], act: (point: string) => Promise<void>): Promise<void> {
  const failures: string[] = []
  for (const point of points) {
    const from = lab.daemon.log().length
    await act(point).catch((error: Error) =>
      failures.push(`${point}: ${error.message}\n${lab.daemon.log().slice(from)}`),
    )
  }
  console.info(`${points.length} points: ${points.join(', ')}`)
  expect(failures.join('\n')).toBe('')
}

async function recordedEffects(operation: Operation, handler: string): Promise<readonly string[]> {
  const subject = subjectOf(lab.daemon, handler, operation)
  await operation.prepare(subject)
  const effects = await lab.record(operation.rpc, operation.request(subject), operation.last)
  await endPod(subject)
  await lab.daemon.rpc('RemoveImage', { image: { image: lab.imageToPull } })
  await lab.expectClean()
  return effects
}

function pointsOf(effects: readonly string[]): readonly string[] {
  return effects.flatMap((effect) => {
    if (IS_POINT.test(effect)) return [effect]
    if (IS_STEP.test(effect)) return [`before ${effect}`]
    const during = PROGRAMS_BEGIN.test(effect) ? [`during ${effect}`] : []
    return [`before ${effect}`, ...during, `after ${effect}`]
  })
}

async function survive(point: string, operation: Operation, handler: string): Promise<void> {
  const subject = subjectOf(lab.daemon, handler, operation)
  try {
    await operation.prepare(subject)
    await lab.crash(point, operation.rpc, operation.request(subject))
    await operation.afterRestart?.(subject)
    await operation.check(subject, await again(operation, subject))
  } finally {
    await endPod(subject)
  }
  await lab.expectClean()
}

/** What is started already is not to be started again: that it runs is seen by the check. */
async function again({ rpc, request }: Operation, subject: Subject): Promise<Message> {
  try {
    return await lab.daemon.rpc(rpc, request(subject))
  } catch (error) {
    if (rpc === 'StartContainer' && (error as { code?: number }).code === FAILED_PRECONDITION) return {}
    throw error
  }
}

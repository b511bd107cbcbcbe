import { status as Code } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { HANDLERS } from '../host.ts'
import { type CrashLab, openCrashLab } from './crash-lab.ts'
import { endPod, OPERATIONS, type Operation, type Subject, subjectOf } from './operations.ts'

const LIMIT_MS = 240_000
/** Whose calls begin a program before they first wait: the daemon ends while that does its work. */
const PROGRAMS_BEGIN = /^monitor\.(create|start|release)#/

let lab: CrashLab
beforeAll(async () => {
  lab = await openCrashLab()
})
afterAll(() => lab?.[Symbol.asyncDispose]())

for (const handler of HANDLERS) {
  test.for(OPERATIONS.map((operation) => [operation.name, operation] as const))(
    `${handler}: SIGKILL before and after every effect of %s, then the same call again`,
    { timeout: LIMIT_MS },
    async ([, operation]) => {
      const points = pointsOf(await recordedEffects(operation, handler))
      const failures: string[] = []
      for (const point of points) {
        const from = lab.daemon.log().length
        await survive(point, operation, handler).catch((error: Error) =>
          failures.push(`${point}: ${error.message}\n${lab.daemon.log().slice(from)}`),
        )
      }
      expect(failures.join('\n')).toBe('')
    },
  )
}

async function recordedEffects(operation: Operation, handler: string): Promise<readonly string[]> {
  const subject = subjectOf(lab.daemon, handler, operation)
  await operation.prepare(subject)
  const effects = await lab.record(operation.rpc, operation.request(subject))
  await endPod(subject)
  await lab.expectClean()
  return effects
}

function pointsOf(effects: readonly string[]): readonly string[] {
  return effects.flatMap((effect) => {
    if (effect.startsWith('program ')) return [effect]
    const during = PROGRAMS_BEGIN.test(effect) ? [`during ${effect}`] : []
    return [`before ${effect}`, ...during, `after ${effect}`]
  })
}

async function survive(point: string, operation: Operation, handler: string): Promise<void> {
  const subject = subjectOf(lab.daemon, handler, operation)
  try {
    await operation.prepare(subject)
    await lab.crash(point, operation.rpc, operation.request(subject))
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
    if (rpc === 'StartContainer' && (error as { code?: number }).code === Code.FAILED_PRECONDITION) return {}
    throw error
  }
}

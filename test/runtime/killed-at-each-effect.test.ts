import { describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { type Operation, operations, type Subject } from '#test/fakes/operations.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

/** The daemon gets SIGKILL after an effect has acted: a new one has the host and the records, and nothing else. */
const journals = await Promise.all(operations.map(journalOf))
const cases = operations.flatMap((operation, index) =>
  (journals[index] ?? []).map((effect, at) => ({ operation, what: operation.name, effect, at })),
)

describe('a daemon that is killed', () => {
  test.for(cases)('in $what, after $effect (number $at): the next one goes on', async ({ operation, at }) => {
    const { lab, subject } = await killedAt(operation, at)
    await lab.runtime.recover()
    await quiet()
    expect(lab.warnings).toEqual([])
    expect(lab.host.left().filter((line) => /creating|stopping/.test(line))).toEqual([])
    expectAgreement(lab)

    await operation.act(lab, subject).catch(expectDone)
    await quiet()
    expectAgreement(lab)
    await removeAll(lab)
    expect(lab.host.left()).toEqual([])
  })

  test.for(cases)(
    'in $what, after $effect (number $at), and whose recovery is killed at each effect: the third goes on',
    async ({ operation, at }) => {
      for (let step = 0; ; step += 1) {
        const { lab, subject } = await killedAt(operation, at)
        lab.effects.killAt(step)
        void lab.runtime.recover().catch(() => undefined)
        await quiet()
        if (!lab.effects.killed) return
        const third = lab.restart()
        await third.runtime.recover()
        await quiet()
        await operation.act(third, subject).catch(expectDone)
        await removeAll(third)
        expect(third.host.left(), `killed in the recovery after ${lab.effects.journal.at(-1)}`).toEqual([])
      }
    },
  )

  test.for(cases)(
    'in $what, after $effect (number $at), and whose recovery fails at each effect: a retry goes on',
    async ({ operation, at }) => {
      for (let step = 0; ; step += 1) {
        const { lab, subject } = await killedAt(operation, at)
        lab.effects.failAt(step, 'before')
        const failure = await lab.runtime.recover().catch((error: unknown) => error)
        await quiet()
        if (lab.effects.journal.length <= step) return
        // Only what it cannot do without ends a start: the records.
        if (failure !== undefined) expect(lab.effects.journal.at(-1)).toMatch(/Records\.all|leftovers/)
        await lab.runtime.recover()
        await lab.runtime.retryUnfinished()
        await quiet()
        expectAgreement(lab)
        await operation.act(lab, subject).catch(expectDone)
        await removeAll(lab)
        expect(lab.host.left(), `the recovery failed at ${lab.effects.journal[step]}`).toEqual([])
      }
    },
  )
})

async function killedAt(operation: Operation, at: number): Promise<{ lab: RuntimeLab; subject: Subject }> {
  const first = runtimeLab()
  const subject = await operation.prepare(first)
  await quiet()
  first.effects.killAt(first.effects.journal.length + at)
  void operation.act(first, subject).catch(() => undefined)
  await quiet()
  expect(first.effects.killed).toBe(true)
  return { lab: first.restart(), subject }
}

async function journalOf(operation: Operation): Promise<readonly string[]> {
  const lab = runtimeLab()
  const subject = await operation.prepare(lab)
  await quiet()
  const start = lab.effects.journal.length
  await operation.act(lab, subject)
  await quiet()
  return lab.effects.journal.slice(start)
}

/** What runs on the host is what the records say. */
function expectAgreement({ host, runtime }: RuntimeLab): void {
  for (const { id, state } of runtime.containers.list()) {
    const phase = host.containers.get(id)?.phase ?? 'ended'
    expect(phase).toBe(state.phase === 'exited' ? 'ended' : state.phase)
  }
  for (const { id, state } of runtime.sandboxes.list()) {
    expect(state.phase).toBe(host.namespaces.has(id) ? 'ready' : 'stopped')
  }
}

/** What was asked for had been done already. */
function expectDone(error: unknown): void {
  expect(error).toBeInstanceOf(CriError)
  expect((error as CriError).kind).toMatch(/not-found|failed-precondition/)
}

async function removeAll({ runtime }: RuntimeLab): Promise<void> {
  for (const { id } of runtime.sandboxes.list()) {
    await runtime.sandboxes.stop(id)
    await runtime.sandboxes.remove(id)
  }
  await quiet()
}

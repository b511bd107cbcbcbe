import { describe, expect, test } from 'vitest'
import { isNotFound } from '#lib/errors.ts'
import { type Operation, operations } from '#test/fakes/operations.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

/** What an exited container still holds is let go of in the background: a failure there is logged, its removal tries again. */
const background = new Set(['monitor.release', 'rootfs.unmount'])

const journals = await Promise.all(operations.map(journalOf))
const cases = operations.flatMap((operation, index) =>
  (journals[index] ?? []).flatMap((effect, at) =>
    (['before', 'after'] as const).map((how) => ({ operation, what: operation.name, effect, at, how })),
  ),
)

describe('an operation that fails at one effect', () => {
  test.for(cases)(
    '$what, $effect (number $at) fails $how it acts',
    async ({ operation, at, effect, how }) => {
      const lab = runtimeLab()
      const subject = await operation.prepare(lab)
      const before = lab.host.left()
      lab.effects.failAt(lab.effects.journal.length + at, how)

      const failure = await failureOf(operation.act(lab, subject))
      await quiet()
      if (failure === undefined) expect(mayPass(operation, effect, how)).toBe(true)
      else expect(messageOf(failure)).toContain(`${effect} was made to fail`)
      if (operation.kind === 'makes') expect(lab.host.left()).toEqual(before)

      if (effect === 'monitor.start' && how === 'before' && operation.kind === 'changes') {
        expect(lab.runtime.containers.get(subject.containerId).state).toMatchObject({ reason: 'StartError' })
      } else if (failure !== undefined || operation.kind !== 'changes') {
        expect(await failureOf(operation.act(lab, subject), isGone)).toBeUndefined()
      }
      await removeAll(lab)
      expect(lab.host.left()).toEqual([])
    },
  )
})

const unmaking = cases.filter(({ operation }) => operation.kind !== 'changes')

describe('an operation whose undoing fails too', () => {
  test.for(unmaking)(
    '$what, $effect (number $at) fails $how it acts',
    async ({ operation, at, effect, how }) => {
      const undo = await undoOf(operation, at, how)
      for (const broken of new Set(undo)) {
        const lab = runtimeLab()
        const subject = await operation.prepare(lab)
        lab.effects.failAt(lab.effects.journal.length + at, how)
        const before = lab.effects.journal.length + at
        const acting = failureOf(operation.act(lab, subject))
        await untilJournal(lab, before)
        lab.effects.break(broken)
        const failure = await acting
        await quiet()
        if (failure !== undefined)
          expect(messageOf(failure)).toMatch(new RegExp(`(${effect}|${broken}) was made`))

        lab.effects.heal()
        await lab.runtime.retryUnfinished()
        await quiet()
        expect(
          lab.host.left().filter((line) => /creating|stopping/.test(line)),
          broken,
        ).toEqual([])
        await removeAll(lab)
        expect(lab.host.left(), broken).toEqual([])
      }
    },
  )
})

async function journalOf(operation: Operation): Promise<readonly string[]> {
  const lab = runtimeLab()
  const subject = await operation.prepare(lab)
  await quiet()
  const start = lab.effects.journal.length
  await operation.act(lab, subject)
  await quiet()
  return lab.effects.journal.slice(start)
}

/** The effects that follow a failure. */
async function undoOf(operation: Operation, at: number, how: 'before' | 'after'): Promise<readonly string[]> {
  const lab = runtimeLab()
  const subject = await operation.prepare(lab)
  const start = lab.effects.journal.length
  lab.effects.failAt(start + at, how)
  await failureOf(operation.act(lab, subject))
  await quiet()
  return lab.effects.journal.slice(start + at + 1)
}

async function untilJournal({ effects }: RuntimeLab, length: number): Promise<void> {
  for (let turns = 0; effects.journal.length <= length && turns < 1000; turns += 1) await Promise.resolve()
}

/** A start that has acted although its call failed is a start. */
const mayPass = ({ kind }: Operation, effect: string, how: string): boolean =>
  background.has(effect) || (kind === 'changes' && effect === 'monitor.start' && how === 'after')

const isGone = (error: unknown): boolean => isNotFound(error)

async function failureOf(
  promise: Promise<unknown>,
  expected: (error: unknown) => boolean = () => false,
): Promise<unknown> {
  try {
    await promise
    return undefined
  } catch (error) {
    return expected(error) ? undefined : error
  }
}

/** All that an error says, with what it was caused by, gathers and suppresses. */
function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const more = thrown instanceof SuppressedError ? [thrown.suppressed, thrown.error] : [thrown.cause]
  const gathered: unknown[] = thrown instanceof AggregateError ? thrown.errors : []
  return [thrown.message, ...[...more, ...gathered].filter(Boolean).map(messageOf)].join(': ')
}

async function removeAll({ runtime }: RuntimeLab): Promise<void> {
  for (const { id } of runtime.sandboxes.list()) {
    await runtime.sandboxes.stop(id)
    await runtime.sandboxes.remove(id)
  }
  await quiet()
}

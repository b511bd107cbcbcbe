import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError, describeError } from '#lib/errors.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

const calls = ['run', 'create', 'start', 'stop', 'remove', 'stop pod', 'remove pod', 'exit', 'retry'] as const
const podWithInit = sandboxSpec({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } })

/** One call on what is there now; what was refused is in its answer. */
async function call({ runtime, host }: RuntimeLab, name: (typeof calls)[number]): Promise<void> {
  const sandboxId = runtime.sandboxes.list()[0]?.id ?? 'none'
  const containerId = runtime.containers.list()[0]?.id ?? 'none'
  switch (name) {
    case 'run':
      return void (await runtime.sandboxes.run(podWithInit))
    case 'create':
      return void (await runtime.containers.create(containerSpec({ sandboxId })))
    case 'start':
      return runtime.containers.start(containerId)
    case 'stop':
      return runtime.containers.stop(containerId, 1000)
    case 'remove':
      return runtime.containers.remove(containerId)
    case 'stop pod':
      return runtime.sandboxes.stop(sandboxId)
    case 'remove pod':
      return runtime.sandboxes.remove(sandboxId)
    case 'exit':
      return host.exit(containerId, 1)
    case 'retry':
      return runtime.retryUnfinished()
  }
}

/** Some at a time, with a few turns between them; a timer of a stop that waits would hang the test. */
const bursts = fc.array(
  fc.record({ name: fc.constantFrom(...calls), turns: fc.integer({ min: 0, max: 12 }) }),
  { maxLength: 14 },
)

test('whatever is called at once: all answer, refuse only what is foreseen, and nothing is left in the end', async () => {
  await fc.assert(
    fc.asyncProperty(bursts, async (burst) => {
      const lab = runtimeLab()
      const sandboxId = await lab.runtime.sandboxes.run(podWithInit)
      await lab.runtime.containers.create(containerSpec({ sandboxId }))
      const answers: Promise<void>[] = []
      for (const { name, turns } of burst) {
        answers.push(call(lab, name))
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      }
      for (const outcome of await Promise.allSettled(answers)) expectForeseen(outcome)
      await quiet()
      for (const { id } of lab.runtime.sandboxes.list()) await lab.runtime.sandboxes.remove(id)
      await quiet()
      expect(lab.host.left()).toEqual([])
      expect(lab.warnings).toEqual([])
    }),
    { numRuns: 400 },
  )
})

const foreseen = new Set(['not-found', 'failed-precondition', 'already-exists'])

function expectForeseen(outcome: PromiseSettledResult<void>): void {
  if (outcome.status === 'fulfilled') return
  const reason: unknown = outcome.reason
  if (/start: it is ended/.test(describeError(reason))) return // A stop at the same time was faster.
  const kind = reason instanceof CriError ? reason.kind : 'a bug'
  expect(foreseen, describeError(reason)).toContain(kind)
}

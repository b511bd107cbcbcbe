import { expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { runTeardown } from './teardown-steps.ts'

test('the steps run in their order, one after the other', async () => {
  const done: string[] = []
  const step = (name: string) => [name, async () => void done.push(name)] as const
  await runTeardown('pod sandbox a', [step('first'), step('second')])
  expect(done).toEqual(['first', 'second'])
})

test('a step that fails keeps no other from running, and all failures are told', async () => {
  const done: string[] = []
  const fail = (message: string) => () => Promise.reject(new Error(message))
  const undone = runTeardown('pod sandbox a', [
    ['detach', fail('plugin is gone')],
    ['remove files', async () => void done.push('files')],
    ['remove namespaces', fail('EBUSY')],
  ])
  const error = await undone.catch((failure: unknown) => failure)
  expect(done).toEqual(['files'])
  expect(describeError(error)).toBe(
    'teardown of pod sandbox a is unfinished: detach: plugin is gone; remove namespaces: EBUSY',
  )
})

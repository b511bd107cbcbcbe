import { expect, test } from 'vitest'
import { ExecSyncResponse } from '#proto/gen/runtime/v1/api.ts'
import { containerRecord, fakeCall, fakeRuntimeService } from '../fake-services.ts'

const call = fakeCall()
const request = { containerId: 'c1', cmd: ['sh', '-c', 'exit 3'], timeout: 0n }
const result = { exitCode: 3, stdout: Buffer.from('out'), stderr: Buffer.from('err'), timedOut: false }
const running = { containers: [containerRecord()] }
const fits = 16 * 1024 * 1024

test('an exit code that is not 0 is an answer and no failure', async () => {
  const { table, journal } = fakeRuntimeService({ ...running, exec: result })
  expect(await table.execSync(request, call)).toEqual({
    exitCode: 3,
    stdout: Buffer.from('out'),
    stderr: Buffer.from('err'),
  })
  expect(journal).toEqual([['execSync', 'c1', ['sh', '-c', 'exit 3'], undefined]])
})

test('a timeout is DEADLINE_EXCEEDED, which kubelet takes for a failed probe', async () => {
  const { table, journal } = fakeRuntimeService({ ...running, exec: { ...result, timedOut: true } })
  await expect(async () => table.execSync({ ...request, timeout: 2n }, call)).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: 'command ["sh","-c","exit 3"] in container c1 did not end within 2 s and was killed',
  })
  expect(journal).toEqual([['execSync', 'c1', ['sh', '-c', 'exit 3'], 2000]])
})

test('an empty command is refused', async () => {
  await expect(async () =>
    fakeRuntimeService().table.execSync({ ...request, cmd: [] }, call),
  ).rejects.toThrow('cmd is empty')
})

test.for([
  [fits, fits, 'each'],
  [fits, 10, 'stdout'],
  [10, fits, 'stderr'],
] as const)('output of %s and %s bytes is cut so that the answer fits a message', async ([out, err]) => {
  const exec = { ...result, stdout: Buffer.alloc(out, 'o'), stderr: Buffer.alloc(err, 'e') }
  const { table } = fakeRuntimeService({ ...running, exec })
  const answer = await table.execSync(request, call)
  const bytes = ExecSyncResponse.encode(answer).finish().length
  expect(bytes).toBeLessThanOrEqual(fits)
  expect(bytes).toBeGreaterThan(fits - 65 * 1024)
  expect(answer.stderr.length).toBe(Math.min(err, out === err ? answer.stdout.length : answer.stderr.length))
  expect(answer.exitCode).toBe(3)
})

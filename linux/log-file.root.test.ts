import { existsSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '#test/e2e/until.ts'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { isAlive } from './proc.ts'

let lab: MonitorLab
beforeAll(() => {
  lab = monitorLab()
})
afterAll(() => lab[Symbol.asyncDispose]())

test.for([
  ['in a directory that is not there', 'no/such.log', 'No such file or directory'],
  ['that is a directory', '.', 'Is a directory'],
] as const)("a log %s is told of by its path and the monitor's own words", async ([, name, words]) => {
  const logFile = join(lab.directory, name)
  const request = { ...lab.request(handlers[0] ?? 'runc', 'true'), logFile }
  await expect(lab.monitor().create(request)).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringMatching(new RegExp(`${request.id}.*log file.*${words}.*${logFile}`)),
  })
  await lab.monitor().remove(request.id, request.handler)
  expect(lab.leftOf(request.id)).toEqual([])
})

test('a log that is a symbolic link is refused, at the creation and when it is reopened', async () => {
  const request = lab.request(handlers[0] ?? 'runc', 'sleep 600')
  const victim = join(lab.directory, 'victim')
  symlinkSync(victim, request.logFile)
  const refusal = { kind: 'failed-precondition', message: expect.stringContaining(request.logFile) }
  await expect(lab.monitor().create(request)).rejects.toMatchObject(refusal)
  rmSync(request.logFile)
  await lab.create(request)
  renameSync(request.logFile, `${request.logFile}.1`)
  symlinkSync(victim, request.logFile)
  await expect(lab.monitor().reopenLog(request.id, request.logFile)).rejects.toMatchObject(refusal)
  await lab.monitor().remove(request.id, request.handler)
  expect(existsSync(victim)).toBe(false)
  for (const path of [request.logFile, `${request.logFile}.1`]) rmSync(path)
})

test('a log of a container that has ended is not waited for', async () => {
  const request = lab.request(handlers[0] ?? 'runc', 'true')
  const container = await lab.create(request)
  await lab.monitor().start(request.id, request.handler)
  await lab.monitor().ended(container)
  await until('its monitor has ended', () => !isAlive(container.monitor))
  renameSync(request.logFile, `${request.logFile}.1`)
  await expect(lab.monitor().reopenLog(request.id, request.logFile)).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(`container ${request.id} has ended`),
  })
  await lab.monitor().remove(request.id, request.handler)
  rmSync(`${request.logFile}.1`)
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import { monitorContract } from '#test/fakes/monitor-contract.ts'
import { handlers, type MonitorLab, monitorLab } from './monitor-lab.ts'

let lab: MonitorLab
beforeAll(() => {
  lab = monitorLab()
})
afterAll(() => lab[Symbol.asyncDispose]())

const cases = handlers.flatMap((handler) =>
  Object.keys(monitorContract).map((promise) => [handler, promise] as const),
)

test.for(cases)('conmon and %s keep the contract: %s', async ([handler, promise]) => {
  const request = lab.request(handler, 'sleep 600')
  await monitorContract[promise]?.({ monitor: lab.monitor(), request })
  await lab.monitor().remove(request.id, handler)
  expect(lab.leftOf(request.id)).toEqual([])
})

import { test } from 'vitest'
import { FakeHost } from './fake-host.ts'
import { FakeMonitor } from './fake-monitor.ts'
import { monitorContract } from './monitor-contract.ts'

test.for(Object.keys(monitorContract))('the fake monitor keeps the contract: %s', async (promise) => {
  const request = {
    ...{ id: 'container-1', handler: 'runc', cgroupsPath: '/pod/container-1', logFile: '' },
    ...{ ociSpec: { process: { args: ['sleep'] } }, tty: false, stdin: false, stdinOnce: false },
  }
  await monitorContract[promise]?.({ monitor: new FakeMonitor(new FakeHost()), request })
})

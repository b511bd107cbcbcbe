import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { OciRuntimeOptions } from '#linux/oci-runtime.ts'
import { findProcesses } from '#linux/proc.ts'
import { handlers, monitorLab } from './monitor-lab.ts'

/** What a handler's settings mean to the monitors of its containers. */
function labWith(more: Partial<OciRuntimeOptions>) {
  const lab = monitorLab(undefined, more)
  onTestFinished(() => lab[Symbol.asyncDispose]())
  return lab
}

const cgroupsOf = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, 'utf8')
const onEach = test.for(handlers)

onEach('%s: its state lies in its root', async (handler) => {
  const stateDirectory = mkdtempSync('/run/cri-ts-test-')
  onTestFinished(() => rmSync(stateDirectory, { recursive: true }))
  const lab = labWith({ stateDirectory })
  const { id } = await lab.create(lab.request(handler, 'sleep 600'))
  expect(readdirSync(stateDirectory)).toContain(id)
  await lab.monitor().remove(id, handler)
  expect(readdirSync(stateDirectory)).not.toContain(id)
})

onEach('%s: a monitor lives where it is told to, and its cgroup is gone with the last', async (handler) => {
  const name = `/${process.env['CRI_TS_ISOLATED'] ?? 'cri-ts-test'}-monitors/of-${handler}`
  const lab = monitorLab(undefined, { monitorCgroup: name })
  const { id, monitor } = await lab.create(lab.request(handler, 'sleep 600'))
  expect(cgroupsOf(monitor.pid)).toMatch(new RegExp(`:memory:${name}$|^0::${name}$`, 'm'))
  await lab.monitor().remove(id, handler)
  await lab[Symbol.asyncDispose]()
  expect(lab.cgroupsNamed(name)).toEqual([])
  await lab.removeCgroups(name.split('/')[1] ?? '')
})

onEach("%s: a monitor in its pod's cgroup leaves that empty behind", async (handler) => {
  const lab = labWith({ monitorCgroup: 'pod' })
  const wanted = lab.request(handler, 'exit 3')
  const container = await lab.create(wanted)
  expect(cgroupsOf(container.monitor.pid)).toContain('/cri-ts-monitors')
  const inPod = join(wanted.cgroupsPath, '../cri-ts-monitors')
  expect(lab.cgroupsNamed(inPod)).not.toEqual([])
  await lab.monitor().start(container.id, handler)
  await lab.monitor().ended(container)
  await lab.monitor().release(container.id, handler)
  expect(lab.cgroupsNamed(inPod)).toEqual([])
})

test('a creation that takes longer than its time is killed, says so, and leaves nothing', async () => {
  const directory = mkdtempSync('/run/cri-ts-test-')
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'slow')
  writeFileSync(
    path,
    `#!/bin/sh\ncase "$*" in *create*) sleep 86399 ;; *) echo 'does not exist' >&2; exit 1 ;; esac\n`,
  )
  chmodSync(path, 0o755)
  const lab = labWith({ path, createTimeoutMs: 300 })
  const wanted = lab.request('runc', 'true')
  await expect(lab.create(wanted)).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: expect.stringMatching(
      /runc did not create it within 0.3 s: .*runtime.handlers.runc.create_timeout/,
    ),
  })
  await lab.monitor().remove(wanted.id, 'runc')
  expect(lab.leftOf(wanted.id)).toEqual([])
  expect(findProcesses((argv) => argv.includes('86399'))).toEqual([])
})

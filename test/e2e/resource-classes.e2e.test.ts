import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

const directory = mkdtempSync(join(tmpdir(), 'cri-ts-classes-'))
afterAll(() => rmSync(directory, { recursive: true }))
const file = join(directory, 'blockio.yaml')
writeFileSync(file, 'Classes:\n  slow:\n    - Devices: [/dev/loop0]\n      ThrottleReadBps: 1Mi\n')
const daemon = useDaemon({ config: `[runtime]\nblockio_config = "${file}"` })

const isVersion2 = existsSync('/sys/fs/cgroup/cgroup.controllers')

testOnEach('%s: the limits of a blockio class are in force', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ annotations: { 'io.kubernetes.cri.blockio-class': 'slow' } })
  const { info } = await daemon().crictlJson('inspect', container.id)
  const cgroups = readFileSync(`/proc/${info.pid}/cgroup`, 'utf8')
  const limits = isVersion2
    ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(cgroups)?.[1]}/io.max`
    : `/sys/fs/cgroup/blkio${/:blkio:(.*)/.exec(cgroups)?.[1]}/blkio.throttle.read_bps_device`
  expect(readFileSync(limits, 'utf8')).toMatch(isVersion2 ? /^7:0 rbps=1048576 / : /^7:0 1048576$/m)
})

testOnEach('%s: classes that are not there are refused by name', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const create = (annotations: object) => pod.create({ annotations })
  await expect(create({ 'io.kubernetes.cri.blockio-class': 'fast' })).rejects.toThrow('blockio class fast')
  await expect(create({ 'io.kubernetes.cri.rdt-class': 'gold' })).rejects.toThrow('RDT class gold')
})

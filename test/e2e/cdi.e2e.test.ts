import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

/** The only one there is: a daemon of an e2e test runs with a /run of its own. */
const specs = '/run/cri-ts-e2e/cdi'
const daemon = useDaemon({ config: `[runtime]\ncdi_spec_dirs = ["${specs}"]` })
beforeAll(() => mkdirSync(specs, { recursive: true }))
afterAll(() => rmSync(specs, { recursive: true }))

const define = (device: string, says: string): void => {
  const deviceNodes = [{ path: `/dev/${device}`, hostPath: '/dev/null' }]
  const devices = [{ name: device, containerEdits: { env: [`SAYS=${says}`], deviceNodes } }]
  writeFileSync(
    join(specs, `${device}.json`),
    JSON.stringify({ cdiVersion: '0.6.0', kind: 'example.com/e2e', devices }),
  )
}

testOnEach(
  '%s: CDI devices of the field and of annotations are there, as their files say now',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    define('one', 'first')
    define('two', 'second')
    const wanted = {
      CDI_devices: [{ name: 'example.com/e2e=one' }],
      annotations: { 'cdi.k8s.io/plugin': 'example.com/e2e=two' },
    }
    const container = await pod.run(wanted)
    expect(await container.exec('stat', '-c', '%t:%T', '/dev/one', '/dev/two')).toBe('1:3\n1:3')
    expect(await container.exec('sh', '-c', 'echo $SAYS')).toBe('second')

    define('two', 'changed')
    const later = await pod.run(wanted)
    expect(await later.exec('sh', '-c', 'echo $SAYS')).toBe('changed')
  },
)

testOnEach(
  '%s: a CDI device that is not defined, or not well named, fails the creation by name',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const bad = join(specs, 'bad.yaml')
    writeFileSync(bad, 'cdiVersion: 0.6.0\nkind: example.com/e2e\ndevices: []\n')
    const created = (name: string) => pod.create({ CDI_devices: [{ name }] })
    await expect(created('example.com/e2e=none')).rejects.toThrow(
      new RegExp(
        `CDI device example.com/e2e=none is defined by no file of ${specs}.*${bad}: devices is empty`,
      ),
    )
    await expect(created('none')).rejects.toThrow(/CDI_devices\[0\].name has \\*"none\\*"/)
    rmSync(bad)
  },
)

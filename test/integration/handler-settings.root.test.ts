import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '#runtime/container/record.ts'
import type { HandlerSettings } from '#runtime/handler.ts'
import { buildOciSpec, type OciSpecInput } from '#runtime/oci-spec/build-spec.ts'
import { privilegedSandbox, withContainer } from '#runtime/oci-spec/sample-input.ts'
import { sampleHandler } from '#runtime/sample-handler.ts'
import { ociLab } from './oci-lab.ts'

/** What a handler's settings mean to the real OCI runtimes. */
let lab: ReturnType<typeof ociLab>
beforeAll(() => {
  lab = ociLab()
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(['runc', 'crun'] as const)

const request =
  (settings: Partial<HandlerSettings>, script: string, more: Partial<ContainerSpec> = {}) =>
  (base: OciSpecInput) =>
    buildOciSpec({
      ...base,
      container: { ...withContainer({ command: ['/bin/sh', '-c', script] }).container, ...more },
      handler: sampleHandler('runc', settings),
    })

onEach(
  "%s: a base spec's limits, sysctls, mounts, variables and hooks are the container's",
  async (runtime) => {
    const seen = join(lab.directory, `${runtime}-hook`)
    const hook = { path: '/bin/sh', args: ['sh', '-c', `cat > ${seen}`] }
    const baseSpec = {
      process: {
        env: ['BASE=1', 'LANG=base'],
        rlimits: [{ type: 'RLIMIT_CORE', soft: 7, hard: 9 }],
        user: { uid: 7, gid: 7 },
      },
      mounts: [{ destination: '/scratch', type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] }],
      hooks: { createRuntime: [hook] },
      linux: { namespaces: [{ type: 'ipc' }] },
    }
    const script = 'echo $BASE $LANG; grep core /proc/self/limits; grep /scratch /proc/mounts; id'
    await using container = lab.container(runtime, request({ baseSpec }, script))
    const { stdout, stderr, exitCode } = await container.run()
    expect(`${stderr}${exitCode}`).toBe('0')
    const lines = stdout.toString().split('\n')
    expect(lines[0]).toBe('1 C')
    expect(lines[1]).toMatch(/core file size\s+7\s+9\s/)
    expect(lines[2]).toMatch(/^tmpfs \/scratch tmpfs .*size=64k/)
    expect(lines[3]).toMatch(/^uid=0/)
    expect(JSON.parse(readFileSync(seen, 'utf8'))).toMatchObject({ id: container.id })
  },
)

onEach('%s: allowed annotations reach the runtime, others do not', async (runtime) => {
  const annotations = { 'example.com/yes': '1', 'example.org/no': '2' }
  const settings = { allowedAnnotations: ['example.com/*'] }
  await using container = lab.container(runtime, request(settings, 'sleep 1000', { annotations }))
  await container.start()
  const { stdout } = await container.call(['state', container.id])
  const state = JSON.parse(stdout.toString()) as { annotations: object }
  expect(state.annotations).toHaveProperty(['example.com/yes'], '1')
  expect(state.annotations).not.toHaveProperty(['example.org/no'])
})

onEach(
  '%s: a privileged container without the devices may use them where all are allowed',
  async (runtime) => {
    const script = 'test -e /dev/kmsg; echo $?; mknod /dev/kmsg c 1 11; (: < /dev/kmsg) && echo opened'
    const security = { ...withContainer({}, { privileged: true }).container.security }
    const run = async (allowed: boolean): Promise<string> => {
      const settings = {
        privilegedWithoutHostDevices: true,
        privilegedWithoutHostDevicesAllDevicesAllowed: allowed,
      }
      const build = request(settings, script, { security })
      await using container = lab.container(runtime, (base) => build({ ...base, sandbox: privilegedSandbox }))
      const { stdout, stderr } = await container.run()
      return `${stdout}${stderr}`
    }
    expect(await run(true)).toBe('1\nopened\n')
    expect(await run(false)).toMatch(/^1\n.*Operation not permitted/s)
  },
)

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WorkerHostPaths } from '#linux/host-paths.ts'
import { privilegedSandbox } from '#runtime/oci-spec/sample-input.ts'
import { ociLab, request, type Security, shell } from './oci-lab.ts'

/** What the built config.json lets a container do, by the real OCI runtimes. */
let lab: ReturnType<typeof ociLab>
let paths: WorkerHostPaths
beforeAll(() => {
  lab = ociLab()
  paths = new WorkerHostPaths()
})
afterAll(async () => {
  await lab[Symbol.asyncDispose]()
  await paths[Symbol.asyncDispose]()
})
const onEach = test.for(['runc', 'crun'] as const)

onEach('%s: capabilities, no_new_privs, closed paths and the read-only root hold', async (runtime) => {
  const script = `grep -E '^(Cap|NoNew)' /proc/self/status
      touch /x /etc/hosts; touch /tmp/x; touch /sys/x; stat -c '%t %T' /proc/interrupts; (: >> /proc/sys/kernel/panic)
      echo | cat > /dev/null && cat /dev/mem; true`
  const security: Security = {
    readonlyRootfs: true,
    noNewPrivileges: true,
    maskedPaths: ['/proc/interrupts'],
    dropCapabilities: ['ALL'],
    addCapabilities: ['CHOWN', 'KILL'],
  }
  await using container = lab.container(runtime, request(shell(script), security))
  const { stdout, stderr } = await container.run()
  const out = stdout.toString()
  for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(out).toContain(`${set}:\t0000000000000021`)
  for (const set of ['CapInh', 'CapAmb']) expect(out).toContain(`${set}:\t0000000000000000`)
  expect(out).toContain('NoNewPrivs:\t1')
  expect(out).toContain('1 3') // The null device.
  for (const file of ['/x', '/etc/hosts', '/tmp/x']) expect(stderr).toContain(`touch: ${file}: Read-only`)
  expect(stderr).toMatch(/sys\/kernel\/panic: Read-only/)
  expect(stderr).toMatch(/mem'?: (No such file|Operation not permitted)/)
})

onEach('%s: a user who is not root has no capability, whatever is in his bounds', async (runtime) => {
  const user = { uid: 1000, gid: 1000, additionalGids: [] }
  await using container = lab.container(runtime, request(shell('grep Cap /proc/self/status'), {}, { user }))
  const out = (await container.run()).stdout.toString()
  for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb'])
    expect(out).toContain(`${set}:\t0000000000000000`)
  expect(out).not.toContain('CapBnd:\t0000000000000000')
})

onEach(
  '%s: an ambient capability is kept by a user who is not root, without file capabilities',
  async (runtime) => {
    const user = { uid: 1000, gid: 1000, additionalGids: [] }
    const security = { dropCapabilities: ['ALL'], ambientCapabilities: ['KILL'], noNewPrivileges: true }
    await using container = lab.container(
      runtime,
      request(shell('grep Cap /proc/self/status'), security, { user }),
    )
    const out = (await container.run()).stdout.toString()
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb', 'CapBnd'])
      expect(out).toContain(`${set}:\t0000000000000020`)
  },
)

onEach(
  '%s: a privileged container has what the daemon holds, and the devices and paths of the host',
  async (runtime) => {
    const devices = await paths.allDevices()
    const script = `grep CapEff /proc/self/status; test -w /sys/fs && echo writable
      test -c /dev/kmsg && echo device; test -c /dev/ptmx && echo ptmx; : > /dev/null && echo null`
    const more = { sandbox: privilegedSandbox, devices }
    await using container = lab.container(runtime, request(shell(script), { privileged: true }, more))
    const { stdout, stderr } = await container.run()
    const held = readFileSync('/proc/self/status', 'utf8').match(/CapEff:.*/)?.[0]
    expect(`${stderr}${stdout}`).toBe(`${held}\nwritable\ndevice\nptmx\nnull\n`)
  },
)

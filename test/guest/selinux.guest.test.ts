import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findProgram } from '#linux/find-program.ts'
import { selinuxLabelOf, setSelinuxLabel } from '#linux/selinux-label.ts'
import { testOnEach, useDaemon } from '#test/e2e/host.ts'
import { type Fields, podsCgroup, runPod } from '#test/e2e/pod.ts'

/** A kernel with SELinux and no policy yet: one for tests is loaded (hack/selinux-policy), and enforced. */
const selinuxfs = '/sys/fs/selinux'
execFileSync('mount', ['-t', 'selinuxfs', 'none', selinuxfs])
writeFileSync(join(selinuxfs, 'load'), readFileSync(process.env['CRI_TS_SELINUX_POLICY'] ?? ''))
mkdirSync('/etc/selinux/test/contexts', { recursive: true })
writeFileSync('/etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=test\n')
writeFileSync(
  '/etc/selinux/test/contexts/lxc_contexts',
  'process = "system_u:system_r:container_t:s0"\nfile = "system_u:object_r:container_file_t:s0"\n',
)

// What the init of pods is: containers may run it, as they may programs of the host elsewhere.
setSelinuxLabel(Buffer.from(findProgram('catatonit') ?? ''), 'system_u:object_r:bin_t:s0')

const daemon = useDaemon()
beforeAll(() => writeFileSync(join(selinuxfs, 'enforce'), '1'))
afterAll(() => writeFileSync(join(selinuxfs, 'enforce'), '0'))

const labelOf = (path: string): string | undefined => selinuxLabelOf(Buffer.from(path))
const asked = (options: Fields): Fields => ({ linux: { security_context: { selinux_options: options } } })
const nothing = { user: '', role: '', type: '', level: '' }
const MOUNT = { container_path: '/data', readonly: false, selinux_relabel: true }

test('the kernel enforces', () => {
  expect(readFileSync(join(selinuxfs, 'enforce'), 'utf8')).toBe('1')
  expect(readFileSync('/proc/self/attr/current', 'utf8')).toMatch(/:kernel_t:/)
})

testOnEach(
  "%s: a container and what is executed in it have their pod's label, and its files",
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const labels = await container.exec('cat', '/proc/1/attr/current', '/proc/self/attr/current')
    const [, level] = /^system_u:system_r:container_t:(s0:c\d+,c\d+)\0/.exec(labels) ?? []
    expect(level).toBeDefined()
    expect(labels.split('\0').filter((label) => label.includes(`container_t:${level}`))).toHaveLength(2)
    await container.exec('sh', '-c', 'echo a >/new; cat /new /etc/hosts /etc/resolv.conf /etc/hostname')
    await container.exec('sh', '-c', 'echo a >/dev/shm/new; cat /dev/shm/new')
    const other = await (await pod.run()).exec('cat', '/proc/self/attr/current', '/dev/shm/new')
    expect(other).toContain(`:${level}\0`)
  },
)

testOnEach('%s: a volume that is labelled for one pod is closed to others', async (handler) => {
  const host_path = join(daemon().directory, `volume-${handler}`)
  mkdirSync(join(host_path, 'below'), { recursive: true })
  writeFileSync(join(host_path, 'below/secret'), 'secret')
  await using pod = await runPod(daemon(), handler)
  const mounts = [{ ...MOUNT, host_path }]
  const container = await pod.run({ mounts })
  expect(await container.exec('cat', '/data/below/secret')).toBe('secret')
  await container.exec('sh', '-c', 'echo more >/data/more')
  expect(labelOf(join(host_path, 'below/secret'))).toMatch(/:container_file_t:s0:c\d+,c\d+$/)
  expect(labelOf(join(host_path, 'more'))).toBe(labelOf(host_path))

  await using stranger = await runPod(daemon(), handler)
  const curious = await stranger.run({ mounts: [{ ...MOUNT, host_path, selinux_relabel: false }] })
  await expect(curious.exec('cat', '/data/below/secret')).rejects.toThrow(/Permission denied/)
  const unlabelled = join(daemon().directory, `plain-${handler}`)
  mkdirSync(unlabelled)
  writeFileSync(join(unlabelled, 'file'), '')
  const another = await stranger.run({
    mounts: [{ ...MOUNT, host_path: unlabelled, selinux_relabel: false }],
  })
  await expect(another.exec('cat', '/data/file')).rejects.toThrow(/Permission denied/)
})

testOnEach('%s: what is asked for is had, and what the policy does not know refused', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    linux: {
      cgroup_parent: podsCgroup(daemon()),
      security_context: { selinux_options: { ...nothing, level: 's0:c1,c2' } },
    },
  })
  const current = async (fields?: Fields) => (await pod.run(fields)).exec('cat', '/proc/self/attr/current')
  expect(await current()).toContain('system_u:system_r:container_t:s0:c1,c2')
  expect(await current(asked({ ...nothing, type: 'spc_t' }))).toContain('system_u:system_r:spc_t:s0:c1,c2')
  await expect(pod.create(asked({ ...nothing, type: 'no_such_t' }))).rejects.toThrow(
    /system_u:system_r:no_such_t:s0:c1,c2, which the policy of this node does not know/,
  )
})

testOnEach('%s: a privileged container is not confined', async (handler) => {
  const security_context = { privileged: true }
  await using pod = await runPod(daemon(), handler, {
    linux: { cgroup_parent: podsCgroup(daemon()), security_context },
  })
  const container = await pod.run({ linux: { security_context } })
  expect(await container.exec('cat', '/proc/self/attr/current')).toContain(':kernel_t:')
})

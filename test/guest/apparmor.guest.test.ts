import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testOnEach, useDaemon } from '#test/e2e/host.ts'
import { CONTAINER, type Container, type Fields, type Pod, podsCgroup, runPod } from '#test/e2e/pod.ts'

/** A kernel with AppArmor and a host with its parser. */
const daemon = useDaemon()

const DENY_WRITE = `
#include <tunables/global>
profile cri-ts-test-deny-write flags=(attach_disconnected) {
  #include <abstractions/base>
  file,
  deny /tmp/** w,
}
`
const parser = (...args: readonly string[]): void =>
  void execFileSync('apparmor_parser', args, { input: DENY_WRITE, stdio: ['pipe', 'inherit', 'inherit'] })
beforeAll(() => parser('--replace', '--skip-cache'))
afterAll(() => parser('--remove'))

/** SecurityProfile of api.proto. */
const RUNTIME_DEFAULT = { profile_type: 0 }
const UNCONFINED = { profile_type: 1 }
const localhost = (name: string): Fields => ({ profile_type: 2, localhost_ref: name })

const run = (pod: Pod, security: Fields): Promise<Container> =>
  pod.run({ linux: { security_context: { namespace_options: { pid: CONTAINER }, ...security } } })

/** Of the container's init and of what is executed in it. */
async function profilesOf(container: Container): Promise<readonly string[]> {
  const text = await container.exec('cat', '/proc/1/attr/current', '/proc/self/attr/current')
  return text.split('\n').map((line) => line.replace(/\0/g, ''))
}

const DEFAULT = 'cri-ts-default (enforce)'
const privilegedPod = (handler: string): Promise<Pod> =>
  runPod(daemon(), handler, {
    linux: { cgroup_parent: podsCgroup(daemon()), security_context: { privileged: true } },
  })

test('the daemon has loaded its profile', () => {
  expect(readFileSync('/sys/kernel/security/apparmor/profiles', 'utf8')).toContain(DEFAULT)
})

testOnEach(
  '%s: the default profile denies mounts and the host’s files, and nothing else',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const admin = { capabilities: { add_capabilities: ['SYS_ADMIN'] } }
    const confined = await run(pod, admin)
    expect(await profilesOf(confined)).toEqual([DEFAULT, DEFAULT])
    const writing = ['sh', '-c', 'echo h >/proc/sysrq-trigger'] as const
    await expect(confined.exec(...writing)).rejects.toThrow(/Permission denied/)
    const mounting = ['mount', '-t', 'tmpfs', 'tmpfs', '/tmp'] as const
    await expect(confined.exec(...mounting)).rejects.toThrow(/denied/)
    await confined.exec('touch', '/tmp/new')

    const free = await run(pod, { ...admin, apparmor: UNCONFINED })
    expect(await profilesOf(free)).toEqual(['unconfined', 'unconfined'])
    await free.exec(...mounting)
  },
)

testOnEach('%s: a profile is asked for by the new field or else by the old one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const profilesWith = async (security: Fields) => profilesOf(await run(pod, security))
  const denied = 'cri-ts-test-deny-write (enforce)'
  expect(await profilesWith({ apparmor: RUNTIME_DEFAULT })).toEqual([DEFAULT, DEFAULT])
  expect(await profilesWith({ apparmor_profile: 'unconfined' })).toEqual(['unconfined', 'unconfined'])
  expect(await profilesWith({ apparmor_profile: 'localhost/cri-ts-test-deny-write' })).toEqual([
    denied,
    denied,
  ])
  const container = await run(pod, {
    apparmor: localhost('cri-ts-test-deny-write'),
    apparmor_profile: 'runtime/default',
  })
  expect(await profilesOf(container)).toEqual([denied, denied])
  await expect(container.exec('touch', '/tmp/new')).rejects.toThrow(/Permission denied/)
})

testOnEach('%s: a profile that is not loaded is refused by its name', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const security_context = { apparmor: localhost('no-such-profile') }
  await expect(pod.create({ linux: { security_context } })).rejects.toThrow(
    /AppArmor profile no-such-profile is not loaded on this node/,
  )
})

testOnEach('%s: a privileged container has a profile only if it names one', async (handler) => {
  await using pod = await privilegedPod(handler)
  const free = await run(pod, { privileged: true, apparmor: RUNTIME_DEFAULT })
  expect(await profilesOf(free)).toEqual(['unconfined', 'unconfined'])
  const named = await run(pod, { privileged: true, apparmor: localhost('cri-ts-test-deny-write') })
  await expect(named.exec('touch', '/tmp/new')).rejects.toThrow(/Permission denied/)
})

testOnEach('%s: the default profile is loaded again when somebody has unloaded it', async (handler) => {
  execFileSync('apparmor_parser', ['--remove'], { input: 'profile cri-ts-default {}\n' })
  await using pod = await runPod(daemon(), handler)
  expect(await profilesOf(await run(pod, {}))).toEqual([DEFAULT, DEFAULT])
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { containerConfig, type Fields, podConfig, runPod } from './pod.ts'

/** Wrong values of each field are in test/fields; here are those that the whole daemon or the host finds. */
const daemon = useDaemon()

const INVALID_ARGUMENT = 3
const NOT_FOUND = 5
const RESOURCE_EXHAUSTED = 8

const runSandbox = (fields: Fields, handler = '') =>
  daemon().rpc('RunPodSandbox', { config: podConfig(daemon(), fields), runtime_handler: handler })

const says = (code: number, ...words: readonly string[]) => ({
  code,
  details: expect.stringMatching(new RegExp(words.map((word) => `(?=.*${word})`).join(''), 'is')),
})

test('an unknown handler is named, with those there are', async () => {
  await expect(runSandbox({}, 'kata')).rejects.toMatchObject(says(INVALID_ARGUMENT, 'kata', 'crun', 'runc'))
})

test('a bad sysctl is named', async () => {
  await expect(runSandbox({ linux: { sysctls: { 'net.ipv4.no_such_thing': '1' } } })).rejects.toMatchObject({
    details: expect.stringContaining('net.ipv4.no_such_thing'),
  })
  await expect(runSandbox({ linux: { sysctls: { 'vm.overcommit_memory': '1' } } })).rejects.toMatchObject(
    says(INVALID_ARGUMENT, 'vm.overcommit_memory'),
  )
})

test('a host port twice in one pod is refused', async () => {
  const port = { protocol: 0, container_port: 80, host_port: 18_090 }
  await expect(runSandbox({ port_mappings: [port, { ...port, container_port: 81 }] })).rejects.toMatchObject({
    details: expect.stringContaining('18090'),
  })
})

test('an image that is not there is NOT_FOUND with the advice to pull it', async () => {
  await using pod = await runPod(daemon(), '')
  const image = 'registry.example/no/such:image'
  const config = containerConfig({ image: { image } })
  const call = daemon().rpc('CreateContainer', { pod_sandbox_id: pod.id, config, sandbox_config: pod.config })
  await expect(call).rejects.toMatchObject(says(NOT_FOUND, image, 'pull'))
})

test.for(['lower/UPPER', 'a b', 'name@sha256:short', '', 'name:'])(
  'the bad reference "%s" is refused by PullImage',
  async (image) => {
    await expect(daemon().rpc('PullImage', { image: { image } })).rejects.toMatchObject({
      code: INVALID_ARGUMENT,
    })
  },
)

const createIn = async (handler: string, config: Fields): Promise<unknown> => {
  await using pod = await runPod(daemon(), handler)
  return await daemon().rpc('CreateContainer', {
    pod_sandbox_id: pod.id,
    config: containerConfig(config),
    sandbox_config: pod.config,
  })
}

testOnEach(
  '%s: a mount source that is a file cannot be mounted as a directory and says so',
  async (handler) => {
    const file = join(daemon().directory, 'a-file')
    writeFileSync(file, '')
    const call = createIn(handler, { mounts: [{ host_path: join(file, 'below'), container_path: '/data' }] })
    await expect(call).rejects.toMatchObject({ details: expect.stringContaining(file) })
  },
)

testOnEach(
  '%s: a field that would weaken the container if it were ignored is done or refused by name',
  async (handler) => {
    const fields: readonly [string, Fields][] = [
      ['seccomp', { seccomp: { profile_type: 2, localhost_ref: '/no/such/profile.json' } }],
      ['apparmor', { apparmor: { profile_type: 2, localhost_ref: 'no-such-profile' } }],
      ['selinux', { selinux_options: { user: 'u', role: 'r', type: 't', level: 'top' } }],
      ['supplemental', { supplemental_groups_policy: 7 }],
      ['user ?namespace|userns', { namespace_options: { userns_options: { mode: 0, uids: [], gids: [] } } }],
    ]
    for (const [name, security_context] of fields) {
      const call = createIn(handler, { linux: { security_context } })
      await expect(call, name).rejects.toMatchObject({
        details: expect.stringMatching(new RegExp(name, 'i')),
      })
    }
  },
)

testOnEach('%s: an unknown capability is named', async (handler) => {
  const capabilities = { add_capabilities: ['NO_SUCH_THING'], drop_capabilities: [] }
  const call = createIn(handler, { linux: { security_context: { capabilities } } })
  await expect(call).rejects.toMatchObject(says(INVALID_ARGUMENT, 'NO_SUCH_THING'))
})

testOnEach('%s: a user that the image does not have is named', async (handler) => {
  const call = createIn(handler, { linux: { security_context: { run_as_username: 'nobody-of-that-name' } } })
  await expect(call).rejects.toMatchObject({ details: expect.stringContaining('nobody-of-that-name') })
})

test('a message of more than 16 MiB is RESOURCE_EXHAUSTED', async () => {
  const call = runSandbox({ annotations: { large: 'x'.repeat((16 << 20) + 1) } })
  await expect(call).rejects.toMatchObject({ code: RESOURCE_EXHAUSTED })
})

test('a request without a config is INVALID_ARGUMENT', async () => {
  await expect(daemon().rpc('RunPodSandbox', {})).rejects.toMatchObject({ code: INVALID_ARGUMENT })
  await expect(daemon().rpc('CreateContainer', { pod_sandbox_id: 'f' })).rejects.toMatchObject({
    code: expect.any(Number),
  })
})

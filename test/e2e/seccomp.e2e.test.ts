import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { CONTAINER, type Container, type Fields, POD, type Pod, podsCgroup, runPod } from './pod.ts'

const profiles = mkdtempSync('/var/lib/cri-ts-seccomp-')
afterAll(() => rmSync(profiles, { recursive: true }))

function profile(name: string, content: object): string {
  const path = join(profiles, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}
const denying = (...names: readonly string[]): object => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names, action: 'SCMP_ACT_ERRNO' }],
})
const noChmod = profile('chmod.json', denying('chmod', 'fchmod', 'fchmodat'))
const noChown = profile('chown.json', denying('chown', 'lchown', 'fchown', 'fchownat'))

const daemon = useDaemon({
  config: `[runtime.handlers.strict]\npath = "runc"\nseccomp_profile = "${noChown}"\n`,
})

/** Its first pod makes the directory of the OCI runtime's state, which stays. */
beforeAll(async () => {
  await using pod = await runPod(daemon(), 'strict')
  await pod.run()
})

/** SecurityProfile of api.proto. */
const RUNTIME_DEFAULT = { profile_type: 0 }
const UNCONFINED = { profile_type: 1 }
const localhost = (path: string): Fields => ({ profile_type: 2, localhost_ref: path })

/** In a PID namespace of its own, unless it says otherwise: its init is process 1 there. */
const run = (pod: Pod, security_context: Fields): Promise<Container> =>
  pod.run({ linux: { security_context: { namespace_options: { pid: CONTAINER }, ...security_context } } })

/** Of the container's init and of a process that is executed in it: 0 is none, 2 a filter. */
async function filters(container: Container): Promise<readonly string[]> {
  const lines = await container.exec('grep', '-h', 'Seccomp:', '/proc/1/status', '/proc/self/status')
  return lines.split('\n').map((line) => line.replace('Seccomp:\t', ''))
}

const chmod = ['chmod', '700', '/tmp'] as const
const newUserNamespace = ['unshare', '-U', 'true'] as const

testOnEach('%s: what is asked for confines the container and what is executed in it', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const confined = await run(pod, { seccomp: RUNTIME_DEFAULT })
  expect(await filters(confined)).toEqual(['2', '2'])
  await expect(confined.exec(...newUserNamespace)).rejects.toThrow(/Operation not permitted/)

  const free = await run(pod, { seccomp: UNCONFINED })
  expect(await filters(free)).toEqual(['0', '0'])
  await free.exec(...newUserNamespace)

  const local = await run(pod, { seccomp: localhost(noChmod) })
  await expect(local.exec(...chmod)).rejects.toThrow(/Operation not permitted/)
  await local.exec(...newUserNamespace)
})

testOnEach(
  '%s: the deprecated string counts only without the new field; neither is unconfined',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const filtersWith = async (security: Fields) => filters(await run(pod, security))
    expect(await filtersWith({})).toEqual(['0', '0'])
    expect(await filtersWith({ seccomp_profile_path: 'runtime/default' })).toEqual(['2', '2'])
    expect(await filtersWith({ seccomp_profile_path: 'runtime/default', seccomp: UNCONFINED })).toEqual([
      '0',
      '0',
    ])
    const local = await run(pod, { seccomp_profile_path: `localhost/${noChmod}` })
    await expect(local.exec(...chmod)).rejects.toThrow(/Operation not permitted/)
  },
)

testOnEach('%s: a privileged container has no filter', async (handler) => {
  await using pod = await runPod(daemon(), handler, { linux: { security_context: { privileged: true } } })
  const container = await run(pod, { privileged: true, seccomp: localhost(noChmod) })
  expect(await filters(container)).toEqual(['0', '0'])
  await container.exec(...chmod)
})

testOnEach("%s: the init of a shared PID namespace has the sandbox's", async (handler) => {
  const initOf = async (seccomp: Fields): Promise<string | undefined> => {
    await using pod = await runPod(daemon(), handler, {
      linux: {
        cgroup_parent: podsCgroup(daemon()),
        security_context: { namespace_options: { pid: POD }, seccomp },
      },
    })
    const container = await run(pod, { namespace_options: { pid: POD } })
    return (await filters(container))[0]
  }
  expect(await initOf(RUNTIME_DEFAULT)).toBe('2')
  expect(await initOf(UNCONFINED)).toBe('0')
})

test('RuntimeDefault of a handler is the profile that its configuration names', async () => {
  await using pod = await runPod(daemon(), 'strict')
  const container = await run(pod, { seccomp: RUNTIME_DEFAULT })
  await expect(container.exec('chown', '1', '/tmp')).rejects.toThrow(/Operation not permitted/)
  await container.exec(...newUserNamespace)
})

testOnEach(
  '%s: a profile that cannot be used fails the creation with its path and its fault',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const create = (path: string) => pod.create({ linux: { security_context: { seccomp: localhost(path) } } })
    const bad = profile('bad.json', {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['a'], action: 'DENY' }],
    })
    await expect(create(join(profiles, 'none.json'))).rejects.toThrow(
      /none\.json: it does not exist: put a valid profile/,
    )
    await expect(create(bad)).rejects.toThrow(
      /bad\.json: syscalls\[0\]\.action is .{1,4}DENY.{1,4}: it must be one of/,
    )
    await expect(create('relative.json')).rejects.toThrow(
      /localhost_ref is .{1,4}relative\.json.{1,4}: it must be the absolute path/,
    )
  },
)

testOnEach(
  '%s: masked paths are empty, read-only ones take nothing, for all but privileged containers',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, { linux: { security_context: { privileged: true } } })
    const paths = {
      masked_paths: ['/proc/timer_list', '/proc/scsi', '/etc'],
      readonly_paths: ['/proc/sys', '/tmp'],
    }
    const confined = await run(pod, { ...paths, no_new_privs: true })
    expect(await confined.exec('cat', '/proc/timer_list')).toBe('')
    expect(await confined.exec('ls', '/etc')).toBe('')
    for (const path of ['/proc/sys/kernel/domainname', '/tmp/new'])
      await expect(confined.exec('sh', '-c', `echo x >${path}`)).rejects.toThrow(/Read-only file system/)
    expect(await confined.exec('grep', 'NoNewPrivs', '/proc/1/status')).toBe('NoNewPrivs:\t1')
    expect(await confined.exec('grep', 'NoNewPrivs', '/proc/self/status')).toBe('NoNewPrivs:\t1')

    const privileged = await run(pod, { ...paths, privileged: true })
    expect(await privileged.exec('ls', '/etc')).toContain('passwd')
    await privileged.exec('touch', '/tmp/new')
    expect(await privileged.exec('grep', 'NoNewPrivs', '/proc/self/status')).toBe('NoNewPrivs:\t0')
  },
)

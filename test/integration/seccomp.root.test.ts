import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '#runtime/container/record.ts'
import { buildOciSpec } from '#runtime/oci-spec/build-spec.ts'
import { withContainer } from '#runtime/oci-spec/sample-input.ts'
import { defaultSeccompProfile } from '#runtime/seccomp/default-profile.ts'
import { parseSeccompProfile } from '#runtime/seccomp/parse-profile.ts'
import type { SeccompProfile } from '#runtime/seccomp/profile.ts'
import { ociLab } from './oci-lab.ts'

/** What profiles mean to the real OCI runtimes and the kernel. */
let lab: ReturnType<typeof ociLab>
beforeAll(() => {
  lab = ociLab()
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(['runc', 'crun'] as const)

/** What a shell in a container with the profile prints. */
async function output(
  runtime: 'runc' | 'crun',
  seccomp: SeccompProfile | undefined,
  script: string,
  security: Partial<ContainerSpec['security']> = {},
): Promise<string> {
  await using container = lab.container(runtime, (base) => {
    const command = ['/bin/sh', '-c', `exec 2>&1; ${script}`]
    return buildOciSpec({ ...base, container: withContainer({ command }, security).container, seccomp })
  })
  const { stdout, stderr } = await container.run()
  return `${stdout}${stderr}`.trim()
}

const unshare = '/bin/busybox unshare -U /bin/busybox echo new || :'

onEach(
  '%s: the default profile lets no new namespace be made, which the kernel alone would',
  async (runtime) => {
    expect(await output(runtime, undefined, unshare)).toBe('new')
    expect(await output(runtime, defaultSeccompProfile, unshare)).toMatch(/Operation not permitted/)
  },
)

onEach('%s: what a capability is for is allowed with it', async (runtime) => {
  const admin = { addCapabilities: ['SYS_ADMIN'] }
  expect(await output(runtime, defaultSeccompProfile, unshare, admin)).toBe('new')
})

onEach('%s: every process is filtered, and goes on working', async (runtime) => {
  const script =
    'grep Seccomp: /proc/self/status; touch /tmp/a && stat -c %s /tmp/a; cat /etc/hosts | cat; id -u'
  expect(await output(runtime, defaultSeccompProfile, script)).toBe('Seccomp:\t2\n0\nhosts of the pod\n0')
})

const denying = (rule: object): SeccompProfile =>
  parseSeccompProfile(
    JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ action: 'SCMP_ACT_ERRNO', ...rule }] }),
  )

onEach('%s: a rule denies with its errno, and leaves out calls that nobody knows', async (runtime) => {
  const profile = denying({ names: ['no_such_call', 'mkdir', 'mkdirat', 'cachestat'], errnoRet: 28 })
  expect(await output(runtime, profile, '/bin/busybox mkdir /tmp/a')).toMatch(/No space left on device/)
})

onEach('%s: arguments are compared in all of their 64 bits', async (runtime) => {
  const text = (value: string): string =>
    `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["ftruncate"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":${value},"op":"SCMP_CMP_EQ"}]}]}`
  const grow = '/bin/busybox truncate -s 9007199254740993 /tmp/a'
  const denied = await output(runtime, parseSeccompProfile(text('9007199254740993')), grow)
  const other = await output(runtime, parseSeccompProfile(text('9007199254740992')), grow)
  expect(denied).toMatch(/Operation not permitted/)
  expect(other).not.toMatch(/Operation not permitted/)
})

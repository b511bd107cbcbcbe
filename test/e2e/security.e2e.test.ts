import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

const daemon = useDaemon()

testOnEach('%s: user, group and supplemental groups are as asked for, and are told', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    linux: {
      security_context: {
        run_as_user: { value: 1000 },
        run_as_group: { value: 2000 },
        supplemental_groups: [3000, 4000],
      },
    },
  })
  expect(await container.exec('id', '-u')).toBe('1000')
  expect(await container.exec('id', '-g')).toBe('2000')
  expect((await container.exec('id', '-G')).split(' ').sort()).toEqual(['2000', '3000', '4000'])
  expect((await container.status())['user'].linux).toMatchObject({ uid: '1000', gid: '2000' })
})

/** SupplementalGroupsPolicy of api.proto. */
const MERGE = 0
const STRICT = 1

testOnEach('%s: the groups of the image count unless the policy is Strict', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const groupsWith = async (policy: number) => {
    const container = await pod.run({
      linux: {
        security_context: {
          run_as_username: 'www-data',
          supplemental_groups: [3000],
          supplemental_groups_policy: policy,
        },
      },
    })
    const { linux } = (await container.status())['user']
    const groups = (await container.exec('id', '-G')).split(' ').toSorted()
    expect(groups).toEqual([...linux.supplemental_groups].toSorted())
    return groups
  }
  expect(await groupsWith(MERGE)).toEqual(['100', '3000', '33'])
  expect(await groupsWith(STRICT)).toEqual(['3000', '33'])
})

testOnEach('%s: ambient capabilities are those of a user who is not root', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    linux: {
      security_context: {
        run_as_user: { value: 1000 },
        capabilities: { add_ambient_capabilities: ['NET_RAW'], drop_capabilities: ['ALL'] },
      },
    },
  })
  expect(capabilitiesOf(await container.exec(...effectiveCapabilities))).toBe(CAP_NET_RAW)
})

const effectiveCapabilities = ['sh', '-c', 'grep CapEff /proc/self/status'] as const
const capabilitiesOf = (line: string): bigint => BigInt(`0x${line.split('\t')[1]}`)
const CAP_NET_RAW = 1n << 13n
const CAP_SYS_ADMIN = 1n << 21n

testOnEach(
  '%s: capabilities are added and dropped; a privileged container has all that the daemon has',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, { linux: { security_context: { privileged: true } } })
    const changed = await pod.run({
      linux: {
        security_context: {
          capabilities: { add_capabilities: ['SYS_ADMIN'], drop_capabilities: ['NET_RAW'] },
        },
      },
    })
    const capabilities = capabilitiesOf(await changed.exec(...effectiveCapabilities))
    expect(capabilities & CAP_SYS_ADMIN).toBe(CAP_SYS_ADMIN)
    expect(capabilities & CAP_NET_RAW).toBe(0n)

    const privileged = await pod.run({ linux: { security_context: { privileged: true } } })
    const own = capabilitiesOf(
      readFileSync('/proc/self/status', 'utf8')
        .split('\n')
        .find((line) => line.startsWith('CapEff')) ?? '',
    )
    expect(capabilitiesOf(await privileged.exec(...effectiveCapabilities))).toBe(own)
  },
)

testOnEach('%s: a read-only root file system takes no file', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ linux: { security_context: { readonly_rootfs: true } } })
  await expect(container.exec('touch', '/new')).rejects.toThrow(/Read-only/)
})

testOnEach('%s: oom_score_adj is set, and raised to what the daemon may set', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const scoreOf = async (wanted: number): Promise<number> => {
    const container = await pod.run({
      command: ['cat', '/proc/self/oom_score_adj'],
      log_path: `${wanted}.log`,
      linux: { resources: { oom_score_adj: wanted } },
    })
    await container.exited()
    return Number(await daemon().crictl('logs', container.id))
  }
  expect(await scoreOf(900)).toBe(900)
  expect(await scoreOf(-998)).toBeGreaterThanOrEqual(-998)
})

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WorkerHostPaths } from '#linux/host-paths.ts'
import { mount, unmount } from '#linux/libc.ts'
import { buildInitSpec } from '#runtime/oci-spec/init-spec.ts'
import { buildExecProcess } from '#runtime/oci-spec/process.ts'
import { toOciResources } from '#runtime/oci-spec/resources.ts'
import { noResources } from '#runtime/oci-spec/sample-input.ts'
import { ociLab, request, shell } from './oci-lab.ts'

/** What the built config.json means to the real OCI runtimes. */
const MS_SHARED = 1 << 20
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

/** A file of the container's cgroup, wherever its controller is mounted. */
function cgroupFile(id: string, controller: string, version1: string, version2: string): string {
  const path =
    lab.host.cgroupVersion === 1
      ? `/sys/fs/cgroup/${controller}/${id}/${version1}`
      : `/sys/fs/cgroup/${id}/${version2}`
  return readFileSync(path, 'utf8').trim()
}

onEach('%s: a container is who and where it was asked to be, with what it was given', async (runtime) => {
  const script =
    'id; pwd; echo $HOSTNAME $LANG $PATH; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj /etc/hosts'
  const wanted = {
    ...shell(script),
    workingDirectory: '/work/new',
    env: [{ name: 'LANG', value: 'de' }],
    resources: { ...noResources, oomScoreAdj: 321 },
  }
  const user = { uid: 1000, gid: 1001, additionalGids: [1001, 50000] }
  await using container = lab.container(runtime, request(wanted, {}, { user }))
  const { exitCode, stdout, stderr } = await container.run()
  expect(`${stderr}${exitCode}`).toBe('0')
  expect(stdout.toString().split('\n')).toEqual([
    'uid=1000 gid=1001 groups=1001,50000',
    '/work/new',
    'pod-host de /bin',
    `${lab.host.nofileLimit.soft}`,
    `${lab.host.nofileLimit.hard}`,
    '321',
    'hosts of the pod',
    '',
  ])
})

onEach('%s: the exit code of the command is that of the container', async (runtime) => {
  await using container = lab.container(runtime, request(shell('exit 42')))
  expect(await container.run()).toMatchObject({ exitCode: 42 })
})

onEach('%s: a device that was asked for can be used as asked', async (runtime) => {
  const devices = await paths.devices({
    hostPath: '/dev/fuse',
    containerPath: '/dev/file-server',
    permissions: 'r',
  })
  const script = '(: < /dev/file-server) && echo read; (: > /dev/file-server) || echo not written'
  await using container = lab.container(runtime, request(shell(script), {}, { devices }))
  expect((await container.run()).stdout.toString()).toBe('read\nnot written\n')
})

onEach('%s: mounts lie over each other as their paths do, read-only where asked', async (runtime) => {
  const source = join(lab.directory, `${runtime}-source`)
  const made = await paths.mountSource(join(source, 'outer'))
  await paths.mountSource(join(source, 'inner'))
  writeFileSync(join(source, 'inner/file'), 'inner\n')
  const mountOf = (containerPath: string, name: string, readonly: boolean) =>
    ({ containerPath, hostPath: join(source, name), readonly, propagation: 'private' }) as const
  const wanted = {
    ...shell('cat /data/in/file; touch /data/out; touch /data/in/x'),
    mounts: [mountOf('/data/in', 'inner', true), mountOf('/data', 'outer', false)],
  }
  const mountSources = new Map([
    [join(source, 'outer'), made],
    [join(source, 'inner'), await paths.mountSource(join(source, 'inner'))],
  ])
  await using container = lab.container(runtime, request(wanted, {}, { mountSources }))
  const { stdout, stderr } = await container.run()
  expect(stdout.toString()).toBe('inner\n')
  expect(stderr).toContain('/data/in/x: Read-only')
  expect(existsSync(join(source, 'outer/out'))).toBe(true)
})

onEach(
  '%s: limits are those of the request, after an update too, and an exec is as the container',
  async (runtime) => {
    const resources = {
      ...noResources,
      cpuShares: 512,
      cpuPeriodUs: 100_000,
      cpuQuotaUs: 50_000,
      memoryLimitBytes: 64 << 20,
    }
    await using container = lab.container(
      runtime,
      request({ ...shell('sleep 60'), resources }, { noNewPrivileges: true }),
    )
    await container.start()
    const memory = () => cgroupFile(container.id, 'memory', 'memory.limit_in_bytes', 'memory.max')
    expect(memory()).toBe(`${64 << 20}`)
    expect(cgroupFile(container.id, 'cpu', 'cpu.cfs_quota_us', 'cpu.max')).toMatch(/^50000\b/)
    if (lab.host.cgroupVersion === 1 && lab.host.swapLimits) {
      expect(cgroupFile(container.id, 'memory', 'memory.memsw.limit_in_bytes', '')).toBe(`${64 << 20}`)
    }
    const update = toOciResources({ ...resources, memoryLimitBytes: 96 << 20, cpuQuotaUs: 30_000 }, lab.host)
    const updated = await container.call(['update', '--resources', '-', container.id], {
      stdin: JSON.stringify(update),
    })
    expect(`${updated.stderr}${updated.exitCode}`).toBe('0')
    expect(memory()).toBe(`${96 << 20}`)
    expect(cgroupFile(container.id, 'cpu', 'cpu.cfs_quota_us', 'cpu.max')).toMatch(/^30000\b/)

    const command = ['/bin/sh', '-c', 'echo $HOSTNAME; grep NoNewPrivs /proc/self/status; exit 3']
    const exec = join(container.bundle, 'exec.json')
    writeFileSync(exec, JSON.stringify(buildExecProcess(container.spec.process, command, { tty: false })))
    const { exitCode, stdout } = await container.call(['exec', '--process', exec, container.id])
    expect([stdout.toString(), exitCode]).toEqual(['pod-host\nNoNewPrivs:\t1\n', 3])
  },
)

onEach('%s: mounts of the host come into a mount with host-to-container propagation', async (runtime) => {
  const source = join(lab.directory, `${runtime}-shared`)
  mkdirSync(source)
  mount('tmpfs', source, 'tmpfs', 0)
  try {
    mount('none', source, '', MS_SHARED)
    mkdirSync(join(source, 'late'))
    const mounts = [
      { containerPath: '/data', hostPath: source, readonly: false, propagation: 'host-to-container' },
    ] as const
    const mountSources = new Map([[source, await paths.mountSource(source, { propagates: true })]])
    await using container = lab.container(
      runtime,
      request({ ...shell('sleep 60'), mounts }, {}, { mountSources }),
    )
    const pid = await container.start()
    mount('tmpfs', join(source, 'late'), 'tmpfs', 0)
    const mountinfo = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    expect(mountinfo).toMatch(/ \/data\/late /)
  } finally {
    await unmount(join(source, 'late'))
    await unmount(source)
  }
})

onEach(
  "%s: a pod's init holds a PID namespace that its containers join, and may do nothing",
  async (runtime) => {
    await using init = lab.container(runtime, (base) => {
      const rootfsPath = join(base.rootfsPath, 'empty')
      mkdirSync(rootfsPath)
      return buildInitSpec({ ...base, rootfsPath, programPath: '/usr/bin/catatonit' })
    })
    const pid = await init.start()
    await expect.poll(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('/init\0-P\0')
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\t65535\t/m)
    expect(status).toMatch(/^CapBnd:\t0+$/m)

    const namespaces = {
      network: undefined,
      ipc: undefined,
      uts: undefined,
      pid: { path: `/proc/${pid}/ns/pid` },
    }
    await using container = lab.container(
      runtime,
      request(shell('grep . /proc/1/comm; kill -9 1; grep . /proc/1/comm'), {}, { namespaces }),
    )
    expect((await container.run()).stdout.toString()).toBe('init\ninit\n')
  },
)

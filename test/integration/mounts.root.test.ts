import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WorkerHostPaths } from '#linux/host-paths.ts'
import { MS_NODEV, MS_NOSUID, mount, unmount } from '#linux/libc.ts'
import type { ContainerMount, ContainerSpec } from '#runtime/container/record.ts'
import { buildOciSpec, type OciSpecInput } from '#runtime/oci-spec/build-spec.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { withContainer } from '#runtime/oci-spec/sample-input.ts'
import { ociLab, type RuntimeName } from './oci-lab.ts'

/** What the real OCI runtimes make of a request's mounts, as the container sees them in its mountinfo. */
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

/** The sample request with these mounts, and a script that runs in it. */
async function withMounts(mounts: readonly ContainerMount[], script: string) {
  const sources = await Promise.all(
    mounts.map(async ({ hostPath }) => [hostPath, await paths.mountSource(hostPath)] as const),
  )
  const container: Partial<ContainerSpec> = { command: ['/bin/sh', '-c', script], mounts }
  return (base: OciSpecInput): OciSpec =>
    buildOciSpec({ ...base, container: withContainer(container).container, mountSources: new Map(sources) })
}

const plain = (containerPath: string, hostPath: string): ContainerMount => ({
  ...{ containerPath, hostPath, readonly: false, propagation: 'private' },
})

/** The options of the mount at a path, as mountinfo has them: `rw,nosuid,noexec`. */
const optionsAt = (mountinfo: string, path: string): string =>
  mountinfo
    .split('\n')
    .find((line) => line.split(' ')[4] === path)
    ?.split(' ')[5] ?? 'not mounted'

onEach('%s: a mount has the options that were asked for', async (runtime) => {
  const source = join(lab.directory, `${runtime}-options`)
  mkdirSync(source)
  const mounts = [
    { ...plain('/all', source), options: ['noexec', 'nosuid', 'nodev', 'noatime', 'nodiratime'] },
    { ...plain('/one', source), readonly: true, options: ['noexec'] },
    plain('/none', source),
  ]
  const script = 'cp /bin/busybox /all/run; /all/run true; cat /proc/self/mountinfo'
  await using container = lab.container(runtime, await withMounts(mounts, script))
  const { stdout, stderr } = await container.run()
  expect(stderr).toMatch(/\/all\/run: Permission denied/)
  expect(optionsAt(stdout.toString(), '/all')).toBe('rw,nosuid,nodev,noexec,noatime,nodiratime')
  expect(optionsAt(stdout.toString(), '/one')).toBe('ro,noexec,relatime')
  expect(optionsAt(stdout.toString(), '/none')).toBe('rw,relatime')
})

onEach('%s: what the host forbids on a mount stays forbidden', async (runtime) => {
  const source = join(lab.directory, `${runtime}-restricted`)
  mkdirSync(source)
  mount('tmpfs', source, 'tmpfs', MS_NOSUID | MS_NODEV)
  try {
    const mounts = [
      plain('/plain', source),
      { ...plain('/ro', source), readonly: true },
      { ...plain('/noexec', source), options: ['noexec'] },
    ]
    await using container = lab.container(runtime, await withMounts(mounts, 'cat /proc/self/mountinfo'))
    const { stdout } = await container.run()
    expect(optionsAt(stdout.toString(), '/plain')).toBe('rw,nosuid,nodev,relatime')
    expect(optionsAt(stdout.toString(), '/ro')).toBe('ro,nosuid,nodev,relatime')
    expect(optionsAt(stdout.toString(), '/noexec')).toBe('rw,nosuid,nodev,noexec,relatime')
  } finally {
    await unmount(source)
  }
})

onEach('%s: a mount at a link of the image lands inside its root file system', async (runtime) => {
  const source = join(lab.directory, `${runtime}-link`)
  mkdirSync(source)
  writeFileSync(join(source, 'file'), 'mounted\n')
  const outside = join(lab.directory, `${runtime}-outside`)
  mkdirSync(outside)
  const build = await withMounts(
    [plain('/up', source), plain('/absolute/sub', source)],
    `cat ${outside}/file /etc/sub/file; cat /proc/self/mountinfo`,
  )
  await using container = lab.container(runtime, (base) => {
    mkdirSync(join(base.rootfsPath, outside), { recursive: true })
    symlinkSync(`../../../../../../../..${outside}`, join(base.rootfsPath, 'up'))
    symlinkSync('/etc', join(base.rootfsPath, 'absolute'))
    return build(base)
  })
  const { stdout, stderr } = await container.run()
  expect(stderr).toBe('')
  expect(stdout.toString()).toMatch(/^mounted\nmounted\n/)
  expect(optionsAt(stdout.toString(), outside)).toBe('rw,relatime')
  expect(existsSync(join(outside, 'file'))).toBe(false)
})

/** Whether its `features` command tells of the option. */
async function knows(runtime: RuntimeName, option: string): Promise<boolean> {
  await using container = lab.container(runtime, await withMounts([], 'true'))
  const { exitCode, stdout } = await container.call(['features'])
  return exitCode === 0 && JSON.parse(stdout.toString()).mountOptions.includes(option)
}

onEach(
  '%s: what is mounted below a mount is as restricted where that was asked',
  async (runtime, context) => {
    if (!(await knows(runtime, 'rro'))) context.skip(`${runtime} here has no recursive mount options`)
    const source = join(lab.directory, `${runtime}-recursive`)
    mkdirSync(join(source, 'sub'), { recursive: true })
    mount('tmpfs', join(source, 'sub'), 'tmpfs', 0)
    try {
      const mounts: ContainerMount[] = [
        { ...plain('/ro', source), readonly: true },
        { ...plain('/rro', source), readonly: true, recursiveReadonly: true },
        { ...plain('/rnoexec', source), options: ['rnoexec', 'nodev'] },
      ]
      const script = 'touch /ro/sub/written; touch /rro/sub/refused; cat /proc/self/mountinfo'
      await using container = lab.container(runtime, await withMounts(mounts, script))
      const { stdout, stderr } = await container.run()
      expect(stderr).toBe('touch: /rro/sub/refused: Read-only file system')
      expect(existsSync(join(source, 'sub/written'))).toBe(true)
      expect(optionsAt(stdout.toString(), '/rro/sub')).toBe('ro,relatime')
      expect(optionsAt(stdout.toString(), '/rnoexec')).toBe('rw,nodev,noexec,relatime')
      expect(optionsAt(stdout.toString(), '/rnoexec/sub')).toBe('rw,noexec,relatime')
    } finally {
      await unmount(join(source, 'sub'))
    }
  },
)

onEach('%s: a tmpfs has what the image has there, where that was asked', async (runtime) => {
  const tmpfs = (destination: string, ...options: string[]) => ({
    ...{ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...options] },
  })
  const extraMounts = [tmpfs('/data', 'tmpcopyup'), tmpfs('/new', 'size=1m', 'mode=700')]
  const build = await withMounts(
    [],
    'cat /data/file; touch /data/new; stat -c %a /new; cat /proc/self/mountinfo',
  )
  await using container = lab.container(runtime, (base) => {
    mkdirSync(join(base.rootfsPath, 'data'))
    writeFileSync(join(base.rootfsPath, 'data/file'), 'of the image\n')
    return build({ ...base, extraMounts })
  })
  const { stdout, stderr } = await container.run()
  expect(stderr).toBe('')
  expect(stdout.toString()).toMatch(/^of the image\n700\n/)
  expect(optionsAt(stdout.toString(), '/data')).toBe('rw,nosuid,nodev,relatime')
  expect(existsSync(join(container.bundle, 'rootfs/data/new'))).toBe(false)
})

import { expect, test } from 'vitest'
import type { ContainerMount } from '../container/record.ts'
import type { MountSource } from '../ports.ts'
import { buildMounts } from './mounts.ts'
import { sampleInput, withContainer } from './sample-input.ts'

const mountOf = (containerPath: string, more: Partial<ContainerMount> = {}): ContainerMount => ({
  containerPath,
  hostPath: `/host${containerPath}`,
  readonly: false,
  propagation: 'private',
  ...more,
})

function build(
  mounts: readonly ContainerMount[],
  propagation?: MountSource['propagation'],
  restrictions: MountSource['restrictions'] = [],
) {
  const source = (path: string): MountSource => ({
    path: `/real${path}`,
    kind: 'directory',
    restrictions,
    ...(propagation === undefined ? {} : { propagation }),
  })
  const mountSources = new Map(mounts.map(({ hostPath }) => [hostPath, source(hostPath)]))
  return buildMounts({ ...withContainer({ mounts }), mountSources })
}

const destinations = (mounts: readonly { readonly destination: string }[]) =>
  mounts.map(({ destination }) => destination)

test("the kernel's file systems come first, then the pod's files", () => {
  expect(destinations(build([]).mounts)).toEqual([
    '/proc',
    '/dev',
    '/dev/pts',
    '/dev/mqueue',
    '/sys',
    '/sys/fs/cgroup',
    '/etc/hostname',
    '/etc/hosts',
    '/etc/resolv.conf',
    '/dev/shm',
  ])
})

test.for([
  [false, 'ro'],
  [true, 'rw'],
] as const)('where privileged is %s, sysfs and cgroups are %s', ([privileged, access]) => {
  const { mounts } = buildMounts(withContainer({}, { privileged }))
  for (const destination of ['/sys', '/sys/fs/cgroup']) {
    const options = mounts.find((mount) => mount.destination === destination)?.options ?? []
    expect(options.filter((option) => option === 'ro' || option === 'rw')).toEqual([access])
  }
})

test.for([
  [1, true, 'cgroup'],
  [2, false, 'cgroup'],
  [2, true, 'bind'],
] as const)(
  'on cgroup v%s, where privileged is %s, cgroups are mounted by type %s',
  ([version, privileged, type]) => {
    const host = { cgroupVersion: version }
    const { mounts } = buildMounts({ ...withContainer({}, { privileged }), host })
    expect(mounts.find(({ destination }) => destination === '/sys/fs/cgroup')).toMatchObject({
      type,
      source: type === 'bind' ? '/sys/fs/cgroup' : 'cgroup',
    })
  },
)

test("the pod's files are read-only with the root file system, its shared memory never", () => {
  const { mounts } = buildMounts(withContainer({}, { readonlyRootfs: true }))
  const bind = (source: string, destination: string, access: string) => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate', access],
  })
  expect(mounts.slice(-4)).toEqual([
    bind('/s/hostname', '/etc/hostname', 'ro'),
    bind('/s/hosts', '/etc/hosts', 'ro'),
    bind('/s/resolv.conf', '/etc/resolv.conf', 'ro'),
    bind('/s/shm', '/dev/shm', 'rw'),
  ])
})

test("a pod in the host's IPC namespace has the host's shared memory", () => {
  const sandboxFiles = { ...sampleInput.sandboxFiles, shm: undefined }
  const { mounts } = buildMounts({ ...sampleInput, sandboxFiles })
  expect(mounts.find(({ destination }) => destination === '/dev/shm')?.source).toBe('/dev/shm')
})

test('parents come before children, and those of one depth in the order of the request', () => {
  const { mounts } = build(['/a/b/c', '/z', '/a', '/a/b', '/b/x/'].map((path) => mountOf(path)))
  const ours = destinations(mounts).filter((path) => !/^\/(etc|dev|sys|proc)/.test(path))
  expect(ours).toEqual(['/z', '/a', '/a/b', '/b/x/', '/a/b/c'])
})

test('what the request mounts replaces ours', () => {
  const { mounts } = build(['/etc/hosts', '/dev/shm/', '/sys'].map((path) => mountOf(path)))
  expect(mounts.filter(({ destination }) => destination === '/etc/hosts')).toEqual([
    {
      destination: '/etc/hosts',
      type: 'bind',
      source: '/real/host/etc/hosts',
      options: ['rbind', 'rprivate', 'rw'],
    },
  ])
  expect(destinations(mounts)).not.toContain('/dev/shm')
  expect(mounts.filter(({ destination }) => destination === '/sys').map(({ type }) => type)).toEqual(['bind'])
})

test("the request's /dev takes what lies below ours away", () => {
  expect(destinations(build([mountOf('/dev')]).mounts).filter((path) => path.startsWith('/dev'))).toEqual([
    '/dev',
    '/dev/shm',
  ])
})

test.for([
  [[], undefined],
  [['private'], undefined],
  [['private', 'host-to-container'], 'rslave'],
  [['bidirectional', 'host-to-container'], 'rshared'],
] as const)('for mounts that are %o the root is %s', ([propagations, expected]) => {
  const mounts = propagations.map((propagation, index) => mountOf(`/m${index}`, { propagation }))
  expect(build(mounts, 'shared').rootfsPropagation).toBe(expected)
})

test.for([
  [{ propagation: 'private', readonly: true }, ['rbind', 'rprivate', 'ro']],
  [{ propagation: 'private', readonly: true, recursiveReadonly: true }, ['rbind', 'rprivate', 'ro', 'rro']],
  [{ propagation: 'host-to-container', readonly: false }, ['rbind', 'rslave', 'rw']],
  [{ propagation: 'bidirectional', readonly: true }, ['rbind', 'rshared', 'ro']],
] as const)('a mount that is %o has the options %o', ([more, options]) => {
  const { mounts } = build([mountOf('/data', more)], 'shared')
  expect(mounts.find(({ destination }) => destination === '/data')?.options).toEqual(options)
})

test('a mount has the options that were asked for, and what its source forbids', () => {
  const { mounts } = build([mountOf('/data', { options: ['noexec', 'nodev'] })], 'shared', [
    'nosuid',
    'nodev',
  ])
  const options = mounts.find(({ destination }) => destination === '/data')?.options
  expect(options).toEqual(['rbind', 'rprivate', 'rw', 'nosuid', 'nodev', 'noexec'])
})

test.for([
  ['bidirectional', 'private'],
  ['bidirectional', 'slave'],
  ['host-to-container', 'private'],
] as const)('%s propagation from a %s mount is refused', ([propagation, source]) => {
  expect(() => build([mountOf('/data', { propagation })], source)).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringContaining('/real/host/data'),
    }),
  )
})

test('host-to-container propagation from a slave mount works, and a private one from any', () => {
  expect(build([mountOf('/data', { propagation: 'host-to-container' })], 'slave').rootfsPropagation).toBe(
    'rslave',
  )
  expect(build([mountOf('/data')], 'private').rootfsPropagation).toBeUndefined()
})

test.for(['', '/', '/a/..'])('a mount at %j is refused', (containerPath) => {
  expect(() => build([mountOf(containerPath)])).toThrow('give a path below /')
})

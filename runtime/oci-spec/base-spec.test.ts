import { expect, test } from 'vitest'
import type { BaseSpec } from '../handler.ts'
import { sampleHandler } from '../sample-handler.ts'
import { buildOciSpec } from './build-spec.ts'
import { privilegedSandbox, sampleInput, withContainer } from './sample-input.ts'

const specOn = (baseSpec: BaseSpec, input = sampleInput) =>
  buildOciSpec({ ...input, handler: sampleHandler('runc', { baseSpec }) })

test('an empty base changes nothing', () => {
  expect(specOn({})).toEqual(buildOciSpec(sampleInput))
})

test('what the request does not speak of is as in the base, at any depth', () => {
  const spec = specOn({
    annotations: { 'example.com/base': 'yes', 'io.kubernetes.cri.container-name': 'forged' },
    process: { ioPriority: { class: 'IOPRIO_CLASS_IDLE' }, noNewPrivileges: true },
    linux: {
      sysctl: { 'net.core.somaxconn': '1' },
      resources: { memory: { reservation: 5 }, cpu: { shares: 7, burst: 1 } },
    },
  })
  expect(spec).toMatchObject({
    annotations: { 'example.com/base': 'yes', 'io.kubernetes.cri.container-name': 'web' },
    process: { ioPriority: { class: 'IOPRIO_CLASS_IDLE' }, noNewPrivileges: false },
    linux: {
      sysctl: { 'net.core.somaxconn': '1' },
      resources: { memory: { reservation: 5 }, cpu: { shares: 7, burst: 1 } },
    },
  })
})

test('who the container is and how it is confined is never from the base', () => {
  const spec = specOn({
    ociVersion: '9.9',
    hostname: 'base',
    root: { path: '/', readonly: false },
    process: {
      user: { uid: 5, gid: 5, umask: 0 },
      args: ['/base'],
      capabilities: { inheritable: ['CAP_SYS_ADMIN'] },
      apparmorProfile: 'base',
      selinuxLabel: 'base',
      consoleSize: { height: 1, width: 1 },
    },
    linux: {
      seccomp: { defaultAction: 'SCMP_ACT_ALLOW' },
      uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      maskedPaths: [],
      rootfsPropagation: 'shared',
      namespaces: [{ type: 'user' }, { type: 'network' }, { type: 'time' }],
    },
  })
  const plain = buildOciSpec(sampleInput)
  const namespaces = [...plain.linux.namespaces, { type: 'time' }]
  expect(spec).toEqual({ ...plain, linux: { ...plain.linux, namespaces } })
})

test("lists are joined by what names their items: the request's wins, but for rlimits, which it has none of", () => {
  const spec = specOn({
    process: {
      env: ['LANG=base', 'BASE=1'],
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ] as object[] as { type: string }[],
    },
    linux: { devices: [{ path: '/dev/base' }] },
  })
  expect(spec.process.env).toEqual(['LANG=C', 'BASE=1', 'PATH=/bin', 'HOSTNAME=pod-host'])
  expect(spec.process.rlimits).toEqual([
    { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
  ])
  expect(spec.linux.devices).toEqual([{ path: '/dev/base' }])
})

test("a base's mounts stand where the request has none, parents before children", () => {
  const added = { type: 'tmpfs', source: 'tmpfs', options: [] }
  const mounts = ['/proc/', '/scratch/deep/er', '/scratch'].map((destination) => ({ destination, ...added }))
  const found = specOn({ mounts }).mounts.map(({ destination }) => destination)
  const plain = buildOciSpec(sampleInput).mounts.map(({ destination }) => destination)
  expect(found.toSorted()).toEqual([...plain, '/scratch', '/scratch/deep/er'].toSorted())
  expect(found.indexOf('/scratch')).toBeLessThan(found.indexOf('/scratch/deep/er'))
  expect(found.indexOf('/sys')).toBeLessThan(found.indexOf('/sys/fs/cgroup'))
})

test('a base adds nothing below a /dev of the request', () => {
  const mount = { containerPath: '/dev', hostPath: '/dev', readonly: false, propagation: 'private' } as const
  const input = withContainer({ mounts: [mount] })
  const mountSources = new Map([['/dev', { path: '/dev', kind: 'directory' as const, restrictions: [] }]])
  const mounts = [{ destination: '/dev/pts' }, { destination: '/dev/shm' }]
  const found = specOn({ mounts }, { ...input, mountSources }).mounts
  expect(found.map(({ destination }) => destination)).not.toContain('/dev/pts')
})

test("a base's device rules come between the first, which is about every device, and the request's", () => {
  const input = {
    ...sampleInput,
    devices: [
      { path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0, uid: 0, gid: 0, permissions: 'rw' },
    ] as const,
  }
  const fuse = { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' }
  const kvm = { allow: true, type: 'c', major: 10, minor: 232, access: 'rwm' }
  const devices = [{ allow: true, access: 'rwm' }, kvm]
  const base = { linux: { resources: { devices } } }
  expect(specOn(base, input).linux.resources.devices).toEqual([{ allow: false, access: 'rwm' }, kvm, fuse])
  const privileged = { ...withContainer({}, { privileged: true }), sandbox: privilegedSandbox }
  expect(specOn(base, privileged).linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }])
})

test("a base's hooks run", () => {
  const hooks = { createRuntime: [{ path: '/bin/true' }] }
  expect(specOn({ hooks })).toHaveProperty('hooks', hooks)
})

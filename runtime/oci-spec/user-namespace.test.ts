import { expect, test } from 'vitest'
import { buildOciSpec } from './build-spec.ts'
import { buildInitSpec } from './init-spec.ts'
import { privilegedSandbox, sampleHost, sampleInput, withContainer } from './sample-input.ts'

const mappings = {
  uids: { containerId: 0, hostId: 100_000, length: 65_536 },
  gids: { containerId: 0, hostId: 200_000, length: 65_536 },
}
const user = { path: '/ns/user', mappings }
const sandbox = {
  ...sampleInput.sandbox,
  spec: {
    ...sampleInput.sandbox.spec,
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod', user: mappings },
  },
} as const
const inside = { ...sampleInput, sandbox, namespaces: { ...sampleInput.namespaces, user } }

test('a container joins the user namespace of its pod, whose mappings are said again', () => {
  const { linux } = buildOciSpec(inside)
  expect(linux.namespaces).toContainEqual({ type: 'user', path: '/ns/user' })
  expect(linux.uidMappings).toEqual([{ containerID: 0, hostID: 100_000, size: 65_536 }])
  expect(linux.gidMappings).toEqual([{ containerID: 0, hostID: 200_000, size: 65_536 }])
  expect(buildOciSpec(sampleInput).linux).not.toHaveProperty('uidMappings')
})

test('the init of a shared PID namespace is in it too, as an id that it has', () => {
  const small = { ...user, mappings: { ...mappings, gids: { ...mappings.gids, length: 1000 } } }
  const { linux, process } = buildInitSpec({
    handler: sampleInput.handler,
    seccomp: undefined,
    ...{ sandbox, programPath: '/init', rootfsPath: '/r', host: sampleHost, cgroupsPath: '/c' },
    namespaces: { ...sampleInput.namespaces, user: small },
  })
  expect(linux.namespaces).toContainEqual({ type: 'user', path: '/ns/user' })
  expect(process.user).toEqual({ uid: 65_535, gid: 999, additionalGids: [] })
})

test('capabilities that the daemon lacks can be had over what belongs to the namespace', () => {
  const wanted = withContainer({}, { addCapabilities: ['SYS_TIME'] })
  const { process } = buildOciSpec({ ...wanted, sandbox, namespaces: inside.namespaces })
  expect(process.capabilities.effective).toContain('CAP_SYS_TIME')
  expect(() => buildOciSpec(wanted)).toThrow('SYS_TIME')
})

test("on the host's network /sys is the host's, read-only with all below it, even for a privileged container", () => {
  const onHost = { ...inside, namespaces: { ...inside.namespaces, network: undefined } }
  const privileged = withContainer({}, { privileged: true }).container
  for (const each of [onHost, { ...onHost, container: privileged, sandbox: privilegedSandbox }]) {
    const sys = buildOciSpec(each).mounts.find(({ destination }) => destination === '/sys')
    expect(sys).toMatchObject({ type: 'bind', source: '/sys' })
    expect(sys?.options).toEqual(['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev', 'ro', 'rro'])
  }
  const own = buildOciSpec(inside).mounts.find(({ destination }) => destination === '/sys')
  expect(own?.type).toBe('sysfs')
})

test.for([
  [{ uid: 65_536, gid: 0, additionalGids: [] }, "user id 65536 is not mapped in the pod's user namespace"],
  [{ uid: 0, gid: 70_000, additionalGids: [] }, "group id 70000 is not mapped in the pod's user namespace"],
  [{ uid: 0, gid: 0, additionalGids: [1, 80_000] }, 'group id 80000 is not mapped'],
] as const)('ids that the namespace does not have are refused: %#', ([ids, message]) => {
  expect(() => buildOciSpec({ ...inside, user: ids })).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test('a mount that is to propagate to the host is refused', () => {
  const mounts = [
    { containerPath: '/d', hostPath: '/d', readonly: false, propagation: 'bidirectional' as const },
  ]
  expect(() => buildOciSpec({ ...inside, container: withContainer({ mounts }).container })).toThrow(
    'mount of /d at /d: nothing that is mounted in a user namespace gets out of it',
  )
})

test('a mount with mappings is bound from its mapped copy', () => {
  const mount = {
    ...{ containerPath: '/d', hostPath: '/srv', readonly: false, propagation: 'private' as const },
    idMappings: mappings,
  }
  const { mounts } = buildOciSpec({
    ...inside,
    container: withContainer({ mounts: [mount] }).container,
    mountSources: new Map([['/srv', { path: '/srv', kind: 'directory', restrictions: [] }]]),
    mappedSources: new Map([[mount, '/mapped/0']]),
  })
  expect(mounts.find(({ destination }) => destination === '/d')?.source).toBe('/mapped/0')
})

import { expect, test } from 'vitest'
import { buildOciSpec } from './build-spec.ts'
import { privilegedSandbox, sampleHost, sampleInput, withContainer } from './sample-input.ts'

test('a plain request has its root, its annotations, its cgroup and closed paths', () => {
  const spec = buildOciSpec(withContainer({}, { readonlyRootfs: true, noNewPrivileges: true }))
  expect(spec).toMatchObject({
    ociVersion: '1.0.2',
    root: { path: '/rootfs', readonly: true },
    process: { noNewPrivileges: true },
    annotations: {
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.container-name': 'web',
      'io.kubernetes.cri.image-name': 'registry.test/web:1',
      'io.kubernetes.cri.sandbox-id': 'sandbox-1',
      'io.kubernetes.cri.sandbox-name': 'pod',
      'io.kubernetes.cri.sandbox-namespace': 'default',
      'io.kubernetes.cri.sandbox-uid': 'uid-1',
    },
    linux: {
      cgroupsPath: '/kubepods/pod1/container-1',
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
    },
  })
  expect(spec.annotations).not.toHaveProperty('example.com/owner')
})

test('the image is named as the user did, else as the request does', () => {
  const name = (input: Parameters<typeof buildOciSpec>[0]) =>
    buildOciSpec(input).annotations['io.kubernetes.cri.image-name']
  expect(name(sampleInput)).toBe('registry.test/web:1')
  expect(name(withContainer({ userSpecifiedImage: '' }))).toBe('sha256:1234')
})

test('a privileged container is closed nothing', () => {
  const spec = buildOciSpec({ ...withContainer({}, { privileged: true }), sandbox: privilegedSandbox })
  expect(spec.linux).toMatchObject({
    maskedPaths: [],
    readonlyPaths: [],
    resources: { devices: [{ allow: true, access: 'rwm' }] },
  })
  expect(spec.process.capabilities.effective).toEqual(sampleHost.capabilities)
  expect(spec.linux.namespaces).not.toContainEqual({ type: 'cgroup' })
})

test('a privileged container in a pod that is not is refused', () => {
  expect(() => buildOciSpec(withContainer({}, { privileged: true }))).toThrow(
    expect.objectContaining({
      kind: 'invalid-argument',
      message: expect.stringContaining('its pod sandbox sandbox-1 is not'),
    }),
  )
})

test("the pod's namespaces are joined, and mount, pid and cgroup are its own", () => {
  expect(buildOciSpec(sampleInput).linux.namespaces).toEqual([
    { type: 'mount' },
    { type: 'network', path: '/ns/net' },
    { type: 'ipc', path: '/ns/ipc' },
    { type: 'uts', path: '/ns/uts' },
    { type: 'pid' },
    { type: 'cgroup' },
  ])
})

test("what is not joined is the host's", () => {
  const namespaces = { network: undefined, ipc: undefined, uts: undefined, pid: 'host' } as const
  const host = { ...sampleHost, cgroupVersion: 1 } as const
  expect(buildOciSpec({ ...sampleInput, namespaces, host }).linux.namespaces).toEqual([{ type: 'mount' }])
})

test('another PID namespace is joined by its path', () => {
  const namespaces = { ...sampleInput.namespaces, pid: { path: '/proc/1/ns/pid' } }
  const { linux } = buildOciSpec({ ...sampleInput, namespaces })
  expect(linux.namespaces).toContainEqual({ type: 'pid', path: '/proc/1/ns/pid' })
  expect(linux.namespaces).not.toContainEqual({ type: 'pid' })
})

test('the spec is plain JSON: nothing in it is undefined', () => {
  const spec = buildOciSpec(sampleInput)
  expect(JSON.parse(JSON.stringify(spec))).toStrictEqual(spec)
})

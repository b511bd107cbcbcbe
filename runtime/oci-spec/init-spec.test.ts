import { expect, test } from 'vitest'
import { sampleHandler } from '../sample-handler.ts'
import { defaultSeccompProfile } from '../seccomp/default-profile.ts'
import { buildInitSpec } from './init-spec.ts'
import { sampleHost, sampleInput } from './sample-input.ts'

const { sandbox, namespaces } = sampleInput
const input = {
  sandbox,
  handler: sampleHandler('runc', { allowedAnnotations: ['*'] }),
  programPath: '/usr/bin/catatonit',
  rootfsPath: '/empty',
  namespaces,
  host: sampleHost,
  cgroupsPath: '/kubepods/pod1/init',
  seccomp: undefined,
}

test("a pod's init has a PID namespace of its own in the pod's others, and no rights", () => {
  const { linux, process, root, mounts, annotations } = buildInitSpec(input)
  expect(linux.namespaces).toEqual([
    { type: 'mount' },
    { type: 'network', path: '/ns/net' },
    { type: 'ipc', path: '/ns/ipc' },
    { type: 'uts', path: '/ns/uts' },
    { type: 'pid' },
  ])
  expect(process).toMatchObject({
    args: ['/init', '-P'],
    user: { uid: 65535, gid: 65535, additionalGids: [] },
    capabilities: { bounding: [], effective: [], permitted: [] },
    noNewPrivileges: true,
    oomScoreAdj: -998,
  })
  expect(root).toEqual({ path: '/empty', readonly: true })
  expect(mounts.at(-1)).toMatchObject({ destination: '/init', source: '/usr/bin/catatonit' })
  expect(linux.resources).toEqual({ devices: [{ allow: false, access: 'rwm' }], cpu: { shares: 2 } })
  expect(annotations['io.kubernetes.cri.container-type']).toBe('sandbox')
})

test('its oom_score_adj is what the daemon may set', () => {
  const host = { ...sampleHost, minOomScoreAdj: 0 }
  expect(buildInitSpec({ ...input, host }).process.oomScoreAdj).toBe(0)
})

test('the container that those of a sandboxed runtime live in has their CPU, and the annotations of the pod', () => {
  const pod = { ...sandbox, spec: { ...sandbox.spec, annotations: { 'dev.gvisor.a': '1' } } }
  const handler = sampleHandler('runsc', { sandbox: 'container', allowedAnnotations: ['dev.gvisor.*'] })
  const spec = buildInitSpec({ ...input, sandbox: pod, handler })
  expect(spec.linux.resources).toEqual({ devices: [{ allow: false, access: 'rwm' }] })
  expect(spec.annotations).toMatchObject({
    'dev.gvisor.a': '1',
    'io.kubernetes.cri.container-type': 'sandbox',
    'io.kubernetes.cri.sandbox-id': pod.id,
  })
  expect(buildInitSpec({ ...input, sandbox: pod }).annotations).not.toHaveProperty(['dev.gvisor.a'])
})

test("it has the sandbox's filter of system calls, as a process without capabilities", () => {
  expect(buildInitSpec(input).linux.seccomp).toBeUndefined()
  const { seccomp } = buildInitSpec({ ...input, seccomp: defaultSeccompProfile }).linux
  const names = seccomp?.syscalls.flatMap((rule) => rule.names)
  expect(seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO')
  expect(names).toContain('waitid')
  expect(names).not.toContain('mount')
})

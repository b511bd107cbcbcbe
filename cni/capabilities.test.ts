import { expect, test } from 'vitest'
import type { AttachRequest } from '#runtime/ports.ts'
import { capabilityArgs, cniArgs, runtimeConfigFor } from './capabilities.ts'

const request: AttachRequest = {
  sandboxId: 'abc',
  netnsPath: '/run/netns/abc',
  pod: { name: 'web', namespace: 'default', uid: 'u-1', attempt: 0 },
  portMappings: [],
  dns: undefined,
  annotations: {},
  cgroupParent: '',
}

test('a plain pod offers its annotations only', () => {
  expect(capabilityArgs(request)).toEqual({ 'io.kubernetes.cri.pod-annotations': {} })
})

test('only ports with a host port are mapped', () => {
  const portMappings = [
    { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '127.0.0.1' },
    { protocol: 'udp', containerPort: 53, hostPort: 0, hostIp: '' },
  ] as const
  expect(capabilityArgs({ ...request, portMappings })).toMatchObject({
    portMappings: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIP: '127.0.0.1' }],
  })
})

test('bandwidth annotations become bits per second, a missing direction is unlimited', () => {
  const annotations = { 'kubernetes.io/ingress-bandwidth': '10M' }
  expect(capabilityArgs({ ...request, annotations })).toMatchObject({
    bandwidth: { ingressRate: 10_000_000, ingressBurst: 4_294_967_295, egressRate: 0, egressBurst: 0 },
  })
})

test.for(['999', '2P', '-1M', 'fast'])(
  'a bandwidth of %s is an invalid argument naming the annotation',
  (rate) => {
    const annotations = { 'kubernetes.io/egress-bandwidth': rate }
    expect(() => capabilityArgs({ ...request, annotations })).toThrow('kubernetes.io/egress-bandwidth')
  },
)

test('DNS and the cgroup parent are offered where the pod has them', () => {
  const dns = { servers: ['10.0.0.10'], searches: ['svc.local'], options: ['ndots:5'] }
  expect(capabilityArgs({ ...request, dns, cgroupParent: '/kubepods/pod1' })).toMatchObject({
    dns,
    cgroupPath: '/kubepods/pod1',
  })
})

test('a plugin gets what it declares, and no runtimeConfig where that is nothing', () => {
  const args = { dns: { servers: [] }, cgroupPath: '/a' }
  expect(
    runtimeConfigFor({ type: 'a', capabilities: { dns: true, cgroupPath: false, mac: true } }, args),
  ).toEqual({
    dns: { servers: [] },
  })
  expect(runtimeConfigFor({ type: 'a', capabilities: { mac: true } }, args)).toBeUndefined()
  expect(runtimeConfigFor({ type: 'a' }, args)).toBeUndefined()
})

test('CNI_ARGS name the pod as Kubernetes plugins expect it', () => {
  expect(cniArgs(request)).toBe(
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u-1',
  )
})

test('a pod name that would add a field to CNI_ARGS is refused', () => {
  const pod = { ...request.pod, name: 'web;IP=10.0.0.1' }
  expect(() => cniArgs({ ...request, pod })).toThrow('K8S_POD_NAME "web;IP=10.0.0.1" cannot be passed')
})

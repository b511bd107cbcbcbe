import { expect, test } from 'vitest'
import { NamespaceMode, PodSandboxConfig } from '#proto/gen/runtime/v1/api.ts'
import { convertSandboxConfig } from './convert-sandbox-config.ts'
import { sandboxSpec } from './fake-services.ts'
import { populated, validResources, withFields } from './unread-fields.ts'

const metadata = { name: 'web', uid: 'u1', namespace: 'default', attempt: 0 }
const bare: PodSandboxConfig = { ...PodSandboxConfig.decode(new Uint8Array()), metadata }

const seccomp = 'linux.securityContext.seccomp'
const seccompProfilePath = 'linux.securityContext.seccompProfilePath'
const namespaceOptions = 'linux.securityContext.namespaceOptions'

/** A config with every field set, and these changed. */
const full = (changes: { readonly [path: string]: unknown } = {}): PodSandboxConfig =>
  withFields(populated('PodSandboxConfig', PodSandboxConfig), {
    metadata,
    logDirectory: '/var/log/pods/web',
    'portMappings.0': { protocol: 2, containerPort: 80, hostPort: 8080, hostIp: '::1' },
    'linux.sysctls': { 'net.core.somaxconn': '1' },
    ...validResources('linux.overhead'),
    ...validResources('linux.resources'),
    'linux.securityContext.selinuxOptions.level': 's0',
    [`${namespaceOptions}.network`]: NamespaceMode.POD,
    [`${namespaceOptions}.pid`]: NamespaceMode.CONTAINER,
    [`${namespaceOptions}.ipc`]: NamespaceMode.NODE,
    [`${namespaceOptions}.usernsOptions`]: { mode: NamespaceMode.NODE, uids: [], gids: [] },
    [seccomp]: undefined,
    [seccompProfilePath]: '',
    ...changes,
  })

test('a config that says only its name is a pod with namespaces of its own', () => {
  expect(convertSandboxConfig(bare, 'crun')).toEqual(sandboxSpec())
})

const resources = {
  cpuPeriodUs: 100_000,
  cpuQuotaUs: 1000,
  cpuShares: 2,
  memoryLimitBytes: 1,
  memorySwapLimitBytes: 1,
  oomScoreAdj: 1,
  cpusetCpus: '0-1,3',
  cpusetMems: '0',
  hugepageLimits: [{ pageSize: '2MB', limitBytes: 1 }],
  unified: { 'memory.high': '1' },
}

test('every field arrives in the spec', () => {
  expect(convertSandboxConfig(full(), 'runc')).toEqual({
    metadata,
    handler: 'runc',
    hostname: 'x',
    logDirectory: '/var/log/pods/web',
    dns: { servers: ['x'], searches: ['x'], options: ['x'] },
    portMappings: [{ protocol: 'sctp', containerPort: 80, hostPort: 8080, hostIp: '::1' }],
    labels: { '*': 'x' },
    annotations: { '*': 'x' },
    cgroupParent: 'x',
    sysctls: { 'net.core.somaxconn': '1' },
    selinux: { user: 'x', role: 'x', type: 'x', level: 's0' },
    resources: { overhead: resources, containers: resources },
    namespaces: { network: 'pod', pid: 'container', ipc: 'node' },
    privileged: true,
  })
})

test.for([
  [undefined, 'config is missing'],
  [{ ...bare, metadata: undefined }, 'config.metadata is missing'],
  [
    { ...bare, logDirectory: 'logs' },
    'pod default/web: log_directory is "logs": it must be an absolute path',
  ],
  [
    full({ 'dnsConfig.servers': ['1.1.1.1\nsearch evil'] }),
    'dns_config.servers[0] is "1.1.1.1\\nsearch evil"',
  ],
  [full({ 'dnsConfig.searches': ['a', 'b c'] }), 'dns_config.searches[1] is "b c": it may have no blanks'],
  [{ ...bare, hostname: 'x'.repeat(65) }, 'it may have 64 bytes'],
  [full({ 'linux.cgroupParent': '/a:b:c' }), 'linux.cgroup_parent is /a:b:c: a cgroup has no colon'],
  [
    full({ [`${namespaceOptions}.network`]: NamespaceMode.CONTAINER }),
    'network is CONTAINER: it may be POD or NODE',
  ],
  [full({ [`${namespaceOptions}.pid`]: NamespaceMode.TARGET }), 'pid is TARGET'],
  [full({ [`${namespaceOptions}.pid`]: 7 }), 'pid is 7: it may be 0, 1, 2, 3'],
] as const)('wrong input is named, with the remedy (test/fields has the rest): %#', ([config, message]) => {
  expect(() => convertSandboxConfig(config, 'crun')).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test("the sandbox's own processes have a seccomp profile by either field, which is checked", () => {
  const seccompOf = (changes: Parameters<typeof full>[0]) =>
    convertSandboxConfig(full(changes), 'crun').seccomp
  expect(seccompOf({ [seccomp]: { profileType: 0, localhostRef: '' } })).toEqual({ type: 'RuntimeDefault' })
  expect(seccompOf({ [seccompProfilePath]: 'localhost//a.json' })).toEqual({
    type: 'Localhost',
    reference: '/a.json',
  })
  expect(() => seccompOf({ [seccompProfilePath]: 'mine' })).toThrow('seccomp_profile_path is mine')
})

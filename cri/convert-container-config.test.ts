import { expect, test } from 'vitest'
import { ContainerConfig, type KeyValue, NamespaceMode, Signal } from '#proto/gen/runtime/v1/api.ts'
import { convertContainerConfig } from './convert-container-config.ts'
import { containerSpec } from './fake-services.ts'
import { populated, validResources, withFields } from './unread-fields.ts'

const metadata = { name: 'nginx', attempt: 0 }
const security = 'linux.securityContext'
const image = { image: 'sha256:1', annotations: {}, userSpecifiedImage: '', runtimeHandler: '', imageRef: '' }
const bare: ContainerConfig = { ...ContainerConfig.decode(new Uint8Array()), metadata, image }

type Changes = { readonly [path: string]: unknown }

/** A config with every field set that is not refused, and these changed. */
const full = (changes: Changes = {}): ContainerConfig =>
  withFields(populated('ContainerConfig', ContainerConfig), {
    metadata,
    workingDir: '/srv',
    'mounts.0': { ...mount, selinuxRelabel: true },
    'devices.0': { containerPath: '/dev/a', hostPath: '/dev/b', permissions: 'rwm' },
    logPath: './nginx//old/../0.log',
    ...validResources('linux.resources'),
    'CDIDevices.0.name': 'vendor.com/gpu=1',
    annotations: { 'cdi.k8s.io/plugin': 'vendor.com/gpu=1,vendor.com/nic=a:0', owner: 'me' },
    stopSignal: Signal.SIGNAL_SIGRTMINPLUS3,
    [`${security}.privileged`]: false,
    [`${security}.namespaceOptions.pid`]: NamespaceMode.TARGET,
    [`${security}.namespaceOptions.usernsOptions`]: undefined,
    [`${security}.selinuxOptions`]: undefined,
    [`${security}.runAsUsername`]: '',
    [`${security}.seccomp`]: undefined,
    [`${security}.seccompProfilePath`]: '',
    [`${security}.apparmor`]: undefined,
    [`${security}.apparmorProfile`]: '',
    [`${security}.maskedPaths`]: ['/proc/kcore'],
    [`${security}.readonlyPaths`]: ['/proc/sys'],
    ...changes,
  })

const mount = {
  containerPath: '/data',
  hostPath: '/srv/data',
  readonly: true,
  selinuxRelabel: false,
  propagation: 2,
  uidMappings: [],
  gidMappings: [],
  recursiveReadOnly: false,
  image: undefined,
  imageSubPath: '',
  mountOptions: [],
} as const

const convert = (config: ContainerConfig | undefined) => convertContainerConfig(config, 's1')

test('a config that says only its name and image is a container of the CRI defaults', () => {
  expect(convert(bare)).toEqual(containerSpec())
})

test('every field arrives in the spec', () => {
  expect(convert(full())).toEqual({
    sandboxId: 's1',
    name: 'nginx',
    attempt: 0,
    imageReference: 'x',
    userSpecifiedImage: 'x',
    command: ['x'],
    args: ['x'],
    workingDirectory: '/srv',
    env: [{ name: 'x', value: 'x' }],
    mounts: [
      {
        ...{ containerPath: '/data', hostPath: '/srv/data', readonly: true, propagation: 'bidirectional' },
        selinuxRelabel: true,
      },
    ],
    devices: [{ containerPath: '/dev/a', hostPath: '/dev/b', permissions: 'rwm' }],
    labels: { '*': 'x' },
    cdiDevices: ['vendor.com/gpu=1', 'vendor.com/nic=a:0'],
    annotations: { 'cdi.k8s.io/plugin': 'vendor.com/gpu=1,vendor.com/nic=a:0', owner: 'me' },
    logPath: 'nginx/0.log',
    stdin: true,
    stdinOnce: true,
    tty: true,
    stopSignal: 'SIGRTMIN+3',
    resources: {
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
    },
    security: {
      user: { user: '1', group: 1, supplementalGroups: [1], strictGroups: true },
      privileged: false,
      readonlyRootfs: true,
      noNewPrivileges: true,
      addCapabilities: ['x'],
      dropCapabilities: ['x'],
      ambientCapabilities: ['x'],
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      namespaces: { pid: 'target', targetId: 'x' },
    },
  })
})

const variable = (key: string, value: string | Buffer): Pick<ContainerConfig, 'envs'> => ({
  envs: [{ key, value: Buffer.from(value) } satisfies KeyValue],
})

test.for<[ContainerConfig | undefined, string]>([
  [undefined, 'config is missing'],
  [{ ...bare, metadata: undefined }, 'config.metadata.name is empty'],
  [{ ...bare, image: undefined }, 'container nginx: image.image is empty'],
  [{ ...bare, ...variable('LANG', Buffer.from([0x64, 0xe9])) }, 'envs[0].value, of LANG, is not UTF-8'],
  [{ ...bare, mounts: [mount, { ...mount, containerPath: '' }] }, 'mounts[1].container_path is ""'],
  [full({ 'mounts.0.propagation': 3 }), 'mounts[0].propagation is 3: it may be 0, 1, 2'],
  [full({ 'devices.0.permissions': '' }), 'devices[0].permissions is "": it has one or more of r, w and m'],
  [full({ annotations: { 'cdi.k8s.io/a': 'v.com/gpu=0,' } }), 'annotation cdi.k8s.io/a has ""'],
  [full({ stopSignal: 66 }), 'stop_signal 66'],
  [full({ [`${security}.runAsUser`]: undefined }), 'run_as_group is 1 without a user'],
  [full({ [`${security}.runAsUsername`]: 'www' }), 'both run_as_user and run_as_username'],
  [full({ [`${security}.runAsUser.value`]: -1n }), 'run_as_user is -1: it may be 0 to 2147483647'],
  [full({ [`${security}.supplementalGroups`]: [1n, -5n] }), 'supplemental_groups[1] is -5'],
])('wrong input is named, with the remedy (test/fields has the rest): %#', ([config, message]) => {
  expect(() => convert(config)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test('an SELinux context arrives with the parts that are given, one without any does not', () => {
  const options = { user: '', role: '', type: 'spc_t', level: 's0' }
  const selinuxOf = (value: unknown) =>
    convert(full({ [`${security}.selinuxOptions`]: value })).security.selinux
  expect(selinuxOf(options)).toEqual(options)
  expect(selinuxOf({ user: '', role: '', type: '', level: '' })).toBeUndefined()
})

test.for([
  [`${security}.selinuxOptions`, { user: '', role: '', type: '', level: '' }],
  [`${security}.selinuxOptions`, { user: '', role: '', type: 'spc_t', level: 's0' }],
  [`${security}.namespaceOptions.usernsOptions`, { mode: NamespaceMode.NODE, uids: [], gids: [] }],
] as const)('%s that asks for nothing is taken', ([path, value]) => {
  expect(convert(full({ [path]: value })).name).toBe('nginx')
})

test('a user is a number, a name, or left to the image', () => {
  const userOf = (changes: Changes) => convert(full(changes)).security.user.user
  expect(userOf({})).toBe('1')
  const byName = { [`${security}.runAsUser`]: undefined, [`${security}.runAsUsername`]: 'www-data' }
  expect(userOf(byName)).toBe('www-data')
  expect(userOf({ [`${security}.runAsUser`]: undefined, [`${security}.runAsGroup`]: undefined })).toBe('')
  expect(userOf({ [`${security}.runAsUser.value`]: 0n })).toBe('0')
})

test('a mount that is read-only with all below it is read-only and private', () => {
  const readonly = {
    'mounts.0.recursiveReadOnly': true,
    'mounts.0.readonly': true,
    'mounts.0.propagation': 0,
  }
  expect(convert(full(readonly)).mounts[0]).toMatchObject({ readonly: true, recursiveReadonly: true })
  for (const wrong of [{ 'mounts.0.readonly': false }, { 'mounts.0.propagation': 1 }]) {
    expect(() => convert(full({ ...readonly, ...wrong }))).toThrow(
      'mounts[0].recursive_read_only needs readonly',
    )
  }
})

import {
  any,
  below,
  either,
  type WrongTable,
  wrong,
  wrongMountMappings,
  wrongNamespaces,
  wrongProfile,
  wrongResources,
  wrongSelinux,
} from './wrong-values.ts'

const forPulls = any('it counts while an image is pulled')
const forOthers = any('it is whatever who sets it understands')
/** NamespaceMode: the sandbox has its own. */
const NODE = 2
const mounts = 'config.mounts'
const security = 'config.linux.security_context'

const wrongOfMounts: WrongTable = {
  ...below(mounts, {
    container_path: wrong('', 'data', '/a\0', '/', '/..'),
    host_path: wrong('', 'data', '/a\0'),
    readonly: { wrong: [false], beside: { [`${mounts}.host_path`]: '', [`${mounts}.image.image`]: 'model' } },
    selinux_relabel: either,
    propagation: wrong(3, -1),
    recursive_read_only: wrong(true),
    'image.image': { wrong: [''], beside: { [`${mounts}.host_path`]: '' } },
    'image.annotations': forPulls,
    'image.user_specified_image': forOthers,
    'image.runtime_handler': forPulls,
    'image.image_ref': any('statuses have it'),
    image_sub_path: {
      wrong: ['/a', '../a', 'a/../../b', 'a\0'],
      beside: { [mounts]: [{ container_path: '/model', image: { image: 'model' }, readonly: true }] },
    },
    mount_options: wrong(['size=1m'], ['exec'], ['noatime', 'relatime'], ['']),
  }),
  ...wrongMountMappings(mounts, 'uidMappings'),
  ...wrongMountMappings(mounts, 'gidMappings'),
}

const wrongOfSecurity: WrongTable = {
  ...wrongNamespaces(`${security}.namespace_options`),
  ...wrongSelinux(`${security}.selinux_options`),
  ...wrongProfile(`${security}.seccomp`, ['a.json', '/a\0']),
  ...wrongProfile(`${security}.apparmor`, ['a b']),
  ...below(`${security}.namespace_options`, {
    network: wrong(4, -1, 1, NODE, 3),
    ipc: wrong(4, 1, NODE, 3),
  }),
  ...below(security, {
    'capabilities.add_capabilities': wrong(['NO_SUCH'], ['']),
    'capabilities.drop_capabilities': wrong(['NO_SUCH'], ['KILL', 'CAP_CAP_KILL']),
    'capabilities.add_ambient_capabilities': wrong(['NO_SUCH']),
    privileged: wrong(true),
    'namespace_options.target_id': { wrong: [''], beside: { [`${security}.namespace_options.pid`]: 3 } },
    'run_as_user.value': wrong(-1, 2 ** 31),
    'run_as_group.value': {
      wrong: [-1, 2 ** 31],
      beside: { [`${security}.run_as_user`]: { value: 1 } },
    },
    run_as_username: wrong('nobody-of-that-name', 'a:b:c', 'root:no-such-group'),
    readonly_rootfs: either,
    supplemental_groups: wrong([-1], [1, 2 ** 31]),
    supplemental_groups_policy: wrong(2),
    no_new_privs: either,
    masked_paths: wrong([''], ['proc'], ['/proc/kcore', 'proc/keys'], ['/a\0']),
    readonly_paths: wrong([''], ['proc/sys'], ['/a\0']),
    apparmor_profile: wrong('mine', 'localhost/a b', 'localhost/'),
    seccomp_profile_path: wrong('default', 'localhost/a.json'),
  }),
}

/** Of CreateContainerRequest. */
export const wrongOfContainer: WrongTable = {
  pod_sandbox_id: wrong(''),
  'sandbox_config.*': any('the sandbox has it since RunPodSandbox, which refuses what is wrong'),
  ...below('config', {
    'metadata.name': wrong(''),
    'metadata.attempt': any('it counts'),
    'image.image': wrong(''),
    'image.annotations': forPulls,
    'image.user_specified_image': forOthers,
    'image.runtime_handler': forPulls,
    'image.image_ref': any('image volumes have it, in statuses'),
    command: wrong(['a\0']),
    args: wrong(['a', 'b\0']),
    working_dir: wrong('srv', './', '/a\0'),
    'envs.key': { wrong: ['', 'A=B', 'A\0'], beside: { 'config.envs': [{ key: 'A' }] } },
    'envs.value': {
      wrong: [Buffer.from([0xff]), Buffer.from('a\0')],
      beside: { 'config.envs': [{ key: 'A' }] },
    },
    'devices.container_path': wrong('', 'null', '/dev/a\0'),
    'devices.host_path': wrong('', 'null'),
    'devices.permissions': wrong('', 'x', 'rwmx', 'RW'),
    labels: forOthers,
    annotations: any('unknown ones are for others; known ones have tests of their own'),
    log_path: wrong('/var/log/0.log', '../0.log', 'a/', '.', 'a\0'),
    stdin: either,
    stdin_once: either,
    tty: either,
    'CDI_devices.name': {
      wrong: ['', 'gpu', 'vendor.com/gpu', 'vendor.com/gpu='],
      beside: { 'config.CDI_devices': [{ name: '' }] },
    },
    stop_signal: wrong(66, -1),
    'windows.*': any('this is Linux'),
  }),
  ...wrongOfMounts,
  ...wrongResources('config.linux.resources'),
  ...wrongOfSecurity,
}

/** Of UpdateContainerResourcesRequest. */
export const wrongOfUpdate: WrongTable = {
  container_id: wrong(''),
  ...wrongResources('linux'),
  'windows.*': any('this is Linux'),
  annotations: any('those of classes have tests of their own, others are for others'),
}

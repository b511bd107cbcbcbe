import {
  any,
  below,
  either,
  type WrongTable,
  wrong,
  wrongNamespaces,
  wrongProfile,
  wrongResources,
  wrongSelinux,
} from './wrong-values.ts'

const noProcess = any('a sandbox has no process that it would be for')
const port = { protocol: 0, container_port: 80, host_port: 8080, host_ip: '' }
const security = 'config.linux.security_context'

/** Of RunPodSandboxRequest. */
export const wrongOfSandbox: WrongTable = {
  runtime_handler: wrong('kata', 'RUNC', 'runc '),
  ...below('config', {
    'metadata.name': wrong(''),
    'metadata.uid': wrong(''),
    'metadata.namespace': wrong(''),
    'metadata.attempt': any('it counts'),
    hostname: wrong('a b', 'x'.repeat(65), 'a/b', 'a\0'),
    log_directory: wrong('logs', '/logs\0'),
    'dns_config.servers': wrong(['10.0.0.1 10.0.0.2'], ['1\nnameserver 2']),
    'dns_config.searches': wrong(['a b']),
    'dns_config.options': wrong(['ndots:5 debug']),
    'port_mappings.protocol': { wrong: [3, -1], beside: { 'config.port_mappings': [port] } },
    'port_mappings.container_port': { wrong: [0, -1, 65_536], beside: { 'config.port_mappings': [port] } },
    'port_mappings.host_port': { wrong: [-1, 65_536], beside: { 'config.port_mappings': [port] } },
    'port_mappings.host_ip': {
      wrong: ['localhost', '1.2.3', '::g'],
      beside: { 'config.port_mappings': [port] },
    },
    labels: any('labels are whatever who sets them understands'),
    annotations: any('unknown ones are for others; known ones have tests of their own'),
    'linux.cgroup_parent': wrong('/a/../../b', '/a:b', '/a\n'),
    'linux.sysctls': wrong(
      { 'vm.overcommit_memory': '1' },
      { '../x': '1' },
      { 'net.core.somaxconn': '1\n2' },
      { 'kernel.hostname': 'x' },
    ),
    'windows.*': any('this is Linux'),
  }),
  ...wrongResources('config.linux.overhead'),
  ...wrongResources('config.linux.resources'),
  ...wrongNamespaces(`${security}.namespace_options`),
  ...wrongSelinux(`${security}.selinux_options`),
  ...wrongProfile(`${security}.seccomp`, ['a.json', '/a\0']),
  ...below(security, {
    // Only a container can join another's.
    'namespace_options.pid': wrong(4, -1, 3),
    'namespace_options.target_id': any('only a container has a target'),
    'run_as_user.value': noProcess,
    'run_as_group.value': wrong(1),
    readonly_rootfs: either,
    supplemental_groups: noProcess,
    supplemental_groups_policy: noProcess,
    privileged: either,
    'apparmor.*': noProcess,
    seccomp_profile_path: wrong('default', 'localhost/a.json', 'localhost/'),
  }),
}

/** Of UpdatePodSandboxResourcesRequest. */
export const wrongOfPodUpdate: WrongTable = {
  pod_sandbox_id: wrong(''),
  ...wrongResources('overhead'),
  ...wrongResources('resources'),
}

import { execFileSync } from 'node:child_process'
import { existsSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { cgroupParent } from '#test/e2e/cgroup-driver.ts'
import { isolation } from '#test/e2e/isolation.ts'
import { CONTAINER, type Fields, NODE, POD } from '#test/e2e/pod.ts'
import {
  type Effect,
  each,
  effect,
  elsewhere,
  executed,
  type FieldTable,
  none,
  type PodGroup,
  podStatusOf,
  processFile,
  shows,
  statusOf,
  under,
} from './field-row.ts'
import { ownCapabilities, plainContainers, privilegedContainers } from './fields-of-container.ts'
import { hugepages, keptResources } from './kept-resources.ts'
import { HOST, SECCOMP_PROFILE } from './lab.ts'

const security = 'config.linux.security_context'
const noProcess = none('a sandbox has no process that it would be for')
const isIn = (text: string): unknown => expect.stringContaining(text)

/** The rule for the pod in the host's tables. */
const portRule: Effect['seen'] = async (shown) => {
  const ip = await podStatusOf('network.ip')(shown)
  return execFileSync('iptables-save', ['-t', 'nat'], { encoding: 'utf8' })
    .split('\n')
    .find((line) => line.includes(`--to-destination ${ip}:`))
}

/** The container's log, where it is there. */
const logFile: Effect['seen'] = async (shown) => {
  const path = `${await statusOf('log_path')(shown)}`
  return existsSync(path) ? dirname(path) : 'there is none'
}

const ownNamespaces: PodGroup = {
  name: 'of its own namespaces',
  base: {
    port_mappings: [{ protocol: 1, container_port: 8053, host_port: 18_099, host_ip: '127.0.0.1' }],
    linux: {
      overhead: hugepages,
      resources: hugepages,
      security_context: { seccomp: { profile_type: 2, localhost_ref: SECCOMP_PROFILE } },
    },
  },
  rows: {
    runtime_handler: {
      seen: podStatusOf('runtime_handler'),
      is: expect.stringMatching(/crun|runc/),
      always: true,
    },
    ...under('config', {
      'metadata.name': effect('fields', podStatusOf('metadata.name')),
      'metadata.uid': effect('fields-uid', podStatusOf('metadata.uid')),
      'metadata.namespace': effect('fields-ns', podStatusOf('metadata.namespace')),
      'metadata.attempt': effect(3, podStatusOf('metadata.attempt')),
      hostname: effect('fields-host', executed('hostname')),
      log_directory: effect(join(HOST, 'logs'), logFile),
      'dns_config.servers': effect(
        ['10.96.0.10'],
        executed('cat', '/etc/resolv.conf'),
        isIn('nameserver 10.96.0.10'),
      ),
      'dns_config.searches': effect(
        ['svc.local'],
        executed('cat', '/etc/resolv.conf'),
        isIn('search svc.local'),
      ),
      'dns_config.options': effect(['ndots:7'], executed('cat', '/etc/resolv.conf'), isIn('options ndots:7')),
      'port_mappings.protocol': shows(portRule, isIn('-p udp')),
      'port_mappings.container_port': shows(portRule, expect.stringMatching(/--to-destination [\d.]+:8053/)),
      'port_mappings.host_port': shows(portRule, isIn('--dport 18099')),
      'port_mappings.host_ip': shows(portRule, isIn('-d 127.0.0.1/32')),
      labels: effect({ its: 'fields' }, podStatusOf('labels'), expect.objectContaining({ its: 'fields' })),
      annotations: effect({ note: 'kept' }, podStatusOf('annotations')),
      'linux.cgroup_parent': effect(
        () => cgroupParent(`${isolation()}-fields`),
        processFile('cgroup'),
        isIn('-fields'),
      ),
      'linux.sysctls': effect(
        { 'net.ipv4.ip_unprivileged_port_start': '81' },
        executed('cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'),
        '81',
      ),
      'windows.*': none('this is Linux'),
    }),
    ...keptResources('overhead', 'config.linux.overhead'),
    ...keptResources('resources', 'config.linux.resources'),
    ...under(security, {
      'namespace_options.target_id': none('only a container has a target'),
      ...each(
        ['user', 'role', 'type'].map((part) => `selinux_options.${part}`),
        elsewhere('runtime/selinux/labels.test.ts', 'have what is asked for'),
      ),
      'selinux_options.level': elsewhere('test/guest/selinux.guest.test.ts', 'what is asked for is had'),
      'run_as_user.value': noProcess,
      'run_as_group.value': noProcess,
      readonly_rootfs: noProcess,
      supplemental_groups: noProcess,
      supplemental_groups_policy: noProcess,
      'apparmor.*': noProcess,
      // Of the init of the PID namespace.
      'seccomp.profile_type': shows(executed('grep', 'Seccomp:', '/proc/1/status'), 'Seccomp:\t2'),
      'seccomp.localhost_ref': shows(executed('grep', 'Seccomp:', '/proc/1/status'), 'Seccomp:\t2'),
    }),
  },
  groups: plainContainers,
}

const namespace = (kind: string): FieldTable[string] =>
  effect(NODE, executed('readlink', `/proc/self/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`))

const hostNamespaces: PodGroup = {
  name: 'of namespaces of the host',
  base: { hostname: '' },
  containers: {
    linux: { security_context: { namespace_options: { network: NODE, pid: NODE, ipc: NODE } } },
  },
  rows: under(`${security}.namespace_options`, {
    network: namespace('net'),
    pid: namespace('pid'),
    ipc: namespace('ipc'),
  }),
  groups: [
    {
      rows: under(`${security}.namespace_options`, {
        network: namespace('net'),
        ipc: namespace('ipc'),
      }),
    },
  ],
}

const mapping = { container_id: 0, host_id: 1_000_000, length: 65_536 }
const userns: Fields = { mode: POD, uids: [mapping], gids: [mapping] }
const mapFields = ['host_id', 'container_id', 'length']
const userNamespaceRows: FieldTable = under(`${security}.namespace_options.userns_options`, {
  mode: shows(executed('cat', '/proc/self/uid_map'), isIn('1000000')),
  ...under(
    'uids',
    each(mapFields, shows(processFile('uid_map'), expect.stringMatching(/^\s*0\s+1000000\s+65536\n$/))),
  ),
  ...under(
    'gids',
    each(mapFields, shows(processFile('gid_map'), expect.stringMatching(/^\s*0\s+1000000\s+65536\n$/))),
  ),
})

const userNamespace: PodGroup = {
  name: 'of a user namespace',
  base: { linux: { security_context: { namespace_options: { pid: POD, userns_options: userns } } } },
  containers: { linux: { security_context: { namespace_options: { pid: POD, userns_options: userns } } } },
  rows: {
    ...userNamespaceRows,
    [`${security}.seccomp_profile_path`]: effect(
      'runtime/default',
      executed('grep', 'Seccomp:', '/proc/1/status'),
      'Seccomp:\t2',
    ),
  },
  groups: [{ rows: userNamespaceRows }],
}

const privileged: PodGroup = {
  name: 'of a privileged sandbox',
  containers: { linux: { security_context: { privileged: true, namespace_options: { pid: CONTAINER } } } },
  rows: {
    // Others may not have a privileged container.
    [`${security}.privileged`]: effect(true, processFile('status', /CapEff.*/), ownCapabilities()),
  },
  groups: privilegedContainers,
}

/** Of RunPodSandboxRequest, and of CreateContainerRequest in their groups. */
export const podGroups: readonly PodGroup[] = [ownNamespaces, hostNamespaces, userNamespace, privileged]

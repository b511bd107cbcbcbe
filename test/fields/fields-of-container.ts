import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { CONTAINER } from '#test/e2e/pod.ts'
import {
  type ContainerGroup,
  type Effect,
  effect,
  elsewhere,
  executed,
  mountedAt,
  none,
  pidOf,
  processFile,
  shows,
  statusOf,
  under,
} from './field-row.ts'
import { mounts } from './fields-of-mounts.ts'
import { resources } from './fields-of-resources.ts'
import { FIELDS_IMAGE, SECCOMP_PROFILE } from './lab.ts'

const security = 'config.linux.security_context'
/** NamespaceMode and SecurityProfile of api.proto. */
const TARGET = 3
const RUNTIME_DEFAULT = 0
const LOCALHOST = 2
const forPulls = none('it counts while an image is pulled')
const status = (pattern: RegExp): Effect['seen'] => processFile('status', pattern)
const guest = (test: string) => elsewhere('test/guest/apparmor.guest.test.ts', test)
const selinuxParts = elsewhere('runtime/selinux/labels.test.ts', 'have what is asked for')
const selinux = elsewhere('test/guest/selinux.guest.test.ts', 'what is asked for is had')

/** Of the daemon, whose child the test's daemon is. */
export const ownCapabilities = (): string =>
  readFileSync('/proc/self/status', 'utf8').match(/CapEff.*/)?.[0] ?? ''

const fd0: Effect['seen'] = (shown) => readlinkSync(`/proc/${pidOf(shown)}/fd/0`)

const isListedInPod: Effect['seen'] = async ({ daemon, pod, container }) => {
  const { containers } = await daemon.rpc('ListContainers', { filter: { id: container.id } })
  return containers[0]?.pod_sandbox_id === pod.id
}

/** Whether a capability is in the bounding set. */
const capability =
  (bit: bigint): Effect['seen'] =>
  (shown) =>
    ((BigInt(`0x${status(/CapBnd:\t(.*)/)(shown)}`) >> bit) & 1n) === 1n
const CAP_CHOWN = 0n
const CAP_SYS_ADMIN = 21n

/** What a container is and does. */
const process: ContainerGroup = {
  base: {
    devices: [{ container_path: '/dev/fields', host_path: '/dev/fuse', permissions: 'r' }],
    envs: [{ key: 'FIELDS', value: Buffer.from('set') }],
    CDI_devices: [{ name: 'example.com/fields=one' }],
  },
  rows: {
    pod_sandbox_id: { seen: isListedInPod, is: true, always: true },
    'sandbox_config.*': none('the sandbox has it since RunPodSandbox'),
    ...under('config', {
      'metadata.name': effect('fields', statusOf('metadata.name')),
      'metadata.attempt': effect(2, statusOf('metadata.attempt')),
      'image.image': effect(FIELDS_IMAGE, executed('cat', '/from/the/image'), 'of the image'),
      'image.user_specified_image': effect('name:of-the-user', statusOf('image.user_specified_image')),
      'image.annotations': forPulls,
      'image.runtime_handler': forPulls,
      'image.image_ref': none('image volumes have it, in statuses'),
      command: effect(
        ['sh', '-c', 'sleep 3600; :'],
        processFile('cmdline'),
        expect.stringMatching(/^sh\0-c\0sleep/),
      ),
      args: effect(['first', 'second'], processFile('cmdline'), expect.stringMatching(/:\0first\0second\0$/)),
      working_dir: effect('/tmp', executed('pwd')),
      'envs.key': shows(processFile('environ', /\0FIELDS=/), '\0FIELDS='),
      'envs.value': shows(processFile('environ', /=set\0/), '=set\0'),
      'devices.container_path': shows(executed('ls', '/dev/fields'), '/dev/fields'),
      'devices.host_path': shows(executed('stat', '-c', '%t:%T', '/dev/fields'), 'a:e5'),
      'devices.permissions': shows(
        executed('sh', '-c', '(: </dev/fields) && echo r; (: >/dev/fields) && echo w; true'),
        'r',
      ),
      labels: effect({ its: 'fields' }, statusOf('labels')),
      annotations: effect({ note: 'kept' }, statusOf('annotations')),
      log_path: effect('fields/0.log', ({ pod }) => existsSync(join(pod.logDirectory, 'fields/0.log')), true),
      stdin: effect(true, fd0, expect.stringMatching(/^pipe:/)),
      stdin_once: elsewhere('test/e2e/attach.e2e.test.ts', 'is the end of the input of stdin-once'),
      'CDI_devices.name': shows(processFile('environ', /FROM_CDI=yes/), 'FROM_CDI=yes'),
      stop_signal: effect('SIGNAL_SIGUSR1', statusOf('stop_signal')),
      'windows.*': none('this is Linux'),
    }),
    ...under(security, {
      'capabilities.add_capabilities': effect(['SYS_ADMIN'], capability(CAP_SYS_ADMIN), true),
      'capabilities.drop_capabilities': effect(['CHOWN'], capability(CAP_CHOWN), false),
      'namespace_options.pid': effect(CONTAINER, executed('readlink', '/proc/1/exe'), '/bin/sh'),
      readonly_rootfs: effect(true, mountedAt('/'), expect.stringMatching(/ \/ ro[, ]/)),
      no_new_privs: effect(true, status(/NoNewPrivs:\t\d/), 'NoNewPrivs:\t1'),
      masked_paths: effect(['/var/www'], mountedAt('/var/www'), expect.stringContaining(' - tmpfs ')),
      readonly_paths: effect(
        ['/var/log'],
        mountedAt('/var/log'),
        expect.stringMatching(/ \/var\/log ro[, ]/),
      ),
      'seccomp.profile_type': effect(RUNTIME_DEFAULT, status(/Seccomp:\t\d/), 'Seccomp:\t2'),
      'apparmor.profile_type': guest('the default profile denies mounts'),
      'apparmor.localhost_ref': guest('by the new field or else by the old one'),
      apparmor_profile: guest('by the new field or else by the old one'),
      'selinux_options.user': selinuxParts,
      'selinux_options.role': selinuxParts,
      'selinux_options.type': selinux,
      'selinux_options.level': selinux,
    }),
  },
}

/** What can't be set together with the fields above. */
const user: ContainerGroup = {
  rows: {
    'config.tty': effect(true, fd0, '/dev/pts/0'),
    ...under(security, {
      'run_as_user.value': effect(1000, status(/Uid:\t\d+/), 'Uid:\t1000'),
      'run_as_group.value': effect(2000, status(/Gid:\t\d+/), 'Gid:\t2000'),
      supplemental_groups: effect([3000], status(/Groups:\t(.*\d)/), '2000 3000'),
    }),
  },
}

const nameOfUser: ContainerGroup = {
  base: { linux: { security_context: { supplemental_groups: [3000] } } },
  rows: under(security, {
    run_as_username: effect('www-data', status(/Uid:\t\d+/), 'Uid:\t33'),
    // Without the group `users`, which the image's /etc/group has him in.
    supplemental_groups_policy: effect(1, status(/Groups:\t(.*\d)/), '33 3000'),
    'capabilities.add_ambient_capabilities': effect(
      ['NET_RAW'],
      status(/CapAmb:\t.*/),
      'CapAmb:\t0000000000002000',
    ),
    seccomp_profile_path: effect('runtime/default', status(/Seccomp:\t\d/), 'Seccomp:\t2'),
  }),
}

/** In the PID namespace of the container before. */
const guestOf: ContainerGroup = {
  base: {
    linux: { security_context: { namespace_options: { pid: TARGET }, seccomp: { profile_type: LOCALHOST } } },
  },
  rows: under(security, {
    'namespace_options.target_id': effect(
      (before: string) => before,
      executed('cat', '/proc/1/cmdline'),
      expect.stringContaining('\0first\0second'),
    ),
    'seccomp.localhost_ref': effect(
      SECCOMP_PROFILE,
      executed('chmod', '700', '/tmp'),
      expect.stringContaining('not permitted'),
    ),
  }),
}

export const plainContainers: readonly ContainerGroup[] = [
  process,
  guestOf,
  user,
  nameOfUser,
  mounts,
  resources,
]

export const privilegedContainers: readonly ContainerGroup[] = [
  { rows: { [`${security}.privileged`]: effect(true, status(/CapEff.*/), ownCapabilities()) } },
]

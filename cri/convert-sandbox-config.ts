import { isIP } from 'node:net'
import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { PodMetadata, PortMapping, SandboxSpec } from '#runtime/pod-sandbox/record.ts'
import { convertSeccomp } from './convert-confinement.ts'
import { convertEnum } from './convert-enum.ts'
import { absolute } from './convert-mounts.ts'
import { convertSandboxNamespaces } from './convert-namespaces.ts'
import { convertPodResources } from './convert-pod-resources.ts'
import { requireUserOfGroup } from './convert-security-context.ts'
import { convertSelinux } from './convert-selinux.ts'
import { convertShmSize } from './convert-shm-size.ts'
import { convertSysctls } from './convert-sysctls.ts'
import { ignored } from './ignored.ts'
import { within } from './within.ts'

const noLinux = wire.LinuxPodSandboxConfig.decode(new Uint8Array())
const noSecurity = wire.LinuxSandboxSecurityContext.decode(new Uint8Array())

const protocols = convertEnum({ tcp: wire.Protocol.TCP, udp: wire.Protocol.UDP, sctp: wire.Protocol.SCTP })

/** sethostname(2): HOST_NAME_MAX. */
const maxHostnameBytes = 64

/** `handler` is a configured one. Throws invalid-argument for what is wrong, unimplemented for what is not done yet. */
export function convertSandboxConfig(
  config: wire.PodSandboxConfig | undefined,
  handler: string,
): SandboxSpec {
  if (config === undefined) throw invalidArgument('config is missing: it says which pod to run')
  const metadata = convertMetadata(config.metadata)
  return within(`pod ${metadata.namespace}/${metadata.name}`, () => {
    const { linux = noLinux } = config
    const { securityContext = noSecurity } = linux
    const namespaces = convertSandboxNamespaces(securityContext.namespaceOptions)
    ignored(config.windows, 'this is Linux')
    const resources = convertPodResources(linux, 'linux.')
    ignoreSandboxProcess(securityContext)
    const seccomp = convertSeccomp(securityContext)
    const selinux = convertSelinux(securityContext.selinuxOptions, 'linux.security_context.selinux_options')
    return {
      metadata,
      handler,
      hostname: convertHostname(config.hostname),
      logDirectory: config.logDirectory === '' ? '' : absolute(config.logDirectory, 'log_directory'),
      dns: config.dnsConfig && {
        servers: words(config.dnsConfig.servers, 'dns_config.servers'),
        searches: words(config.dnsConfig.searches, 'dns_config.searches'),
        options: words(config.dnsConfig.options, 'dns_config.options'),
      },
      portMappings: config.portMappings.map(convertPortMapping),
      labels: { ...config.labels },
      annotations: { ...config.annotations },
      ...shmSizeOf(config),
      cgroupParent: convertCgroupParent(linux.cgroupParent),
      sysctls: convertSysctls(linux.sysctls, namespaces),
      ...(resources === undefined ? {} : { resources }),
      namespaces,
      privileged: securityContext.privileged,
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(selinux === undefined ? {} : { selinux }),
    }
  })
}

function shmSizeOf({ annotations }: wire.PodSandboxConfig): Pick<SandboxSpec, 'shmSizeBytes'> {
  const shmSizeBytes = convertShmSize(annotations)
  return shmSizeBytes === undefined ? {} : { shmSizeBytes }
}

function convertMetadata(metadata: wire.PodSandboxMetadata | undefined): PodMetadata {
  if (metadata === undefined) throw invalidArgument('config.metadata is missing: it names the pod')
  const { name, uid, namespace, attempt } = metadata
  for (const [field, value] of Object.entries({ name, namespace, uid })) {
    if (value === '')
      throw invalidArgument(`config.metadata.${field} is empty: a pod has a name, a namespace and a uid`)
  }
  return { name, uid, namespace, attempt }
}

/**
 * What of the security context is for processes of the sandbox itself: a namespaces-only sandbox has none
 * ("may not be applicable to a PodSandbox which does not contain any running process", api.proto), and its
 * containers bring their own. The init of a shared PID namespace is nobody already, with neither capability nor file.
 */
function ignoreSandboxProcess(context: wire.LinuxSandboxSecurityContext): void {
  ignored(context.apparmor, 'no process')
  ignored(context.readonlyRootfs, 'no root file system')
  ignored(context.supplementalGroups, 'no process')
  ignored(context.supplementalGroupsPolicy, 'no process')
  ignored(context.runAsUser?.value, 'no process')
  requireUserOfGroup(context.runAsGroup, context.runAsUser)
  ignored(context.runAsGroup?.value, 'no process')
}

/** A blank would make two words, or a line of its own, in resolv.conf. */
function words(values: readonly string[], field: string): readonly string[] {
  const bad = values.findIndex((value) => /[\s\p{Cc}]/u.test(value))
  if (bad < 0) return [...values]
  throw invalidArgument(
    `${field}[${bad}] is ${JSON.stringify(values[bad])}: it may have no blanks and control characters`,
  )
}

function convertHostname(hostname: string): string {
  if (Buffer.byteLength(hostname) <= maxHostnameBytes && !/[\0/\s]/.test(hostname)) return hostname
  throw invalidArgument(
    `hostname is "${hostname}": it may have ${maxHostnameBytes} bytes, no blanks and slashes`,
  )
}

function convertCgroupParent(parent: string): string {
  if (parent.split('/').includes('..')) {
    throw invalidArgument(`linux.cgroup_parent is ${parent}: it must not go up by ..`)
  }
  // A colon parts slice and scope in a cgroup's path for systemd's driver.
  if (/[:\n\0]/.test(parent))
    throw invalidArgument(`linux.cgroup_parent is ${parent}: a cgroup has no colon in its name here`)
  return parent
}

function convertPortMapping(mapping: wire.PortMapping, index: number): PortMapping {
  const field = `port_mappings[${index}]`
  const { containerPort, hostPort, hostIp } = mapping
  const isPort = (port: number): boolean => port >= 0 && port <= 65_535
  if (!isPort(hostPort))
    throw invalidArgument(`${field}.host_port is ${hostPort}: it may be 1 to 65535, or 0 for none`)
  if (!isPort(containerPort) || (containerPort === 0 && hostPort !== 0)) {
    throw invalidArgument(`${field}.container_port is ${containerPort}: it may be 1 to 65535`)
  }
  if (hostIp !== '' && isIP(hostIp) === 0) {
    throw invalidArgument(`${field}.host_ip is ${hostIp}: it must be an IPv4 or IPv6 address`)
  }
  return {
    protocol: protocols.fromWire(mapping.protocol, `${field}.protocol`),
    containerPort,
    hostPort,
    hostIp,
  }
}

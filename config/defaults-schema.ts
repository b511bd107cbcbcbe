import { z } from 'zod'
import { capabilityNames } from '#lib/capability-names.ts'
import { parseDeviceArgument } from '#lib/device-argument.ts'
import { namespaceOfSysctl, sysctlPathOf } from '#lib/sysctl-names.ts'
import {
  type ContainerDefaults,
  defaultCapabilities,
  type ResourceLimit,
} from '#runtime/container-defaults.ts'
import { path, says } from './key-meta.ts'

const LIMITS = [
  ...['as', 'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss'],
  ...['rtprio', 'rttime', 'sigpending', 'stack'],
]

const fullName = (name: string): string => `CAP_${name.toUpperCase().replace(/^CAP_/, '')}`
const isCapability = (name: string): boolean =>
  (capabilityNames as readonly string[]).includes(fullName(name))

function isNamespaced(setting: string): boolean {
  const [name = '', value] = split(setting)
  const path = sysctlPathOf(name)
  return path !== undefined && namespaceOfSysctl(path) !== undefined && /^[^\0\n]+$/.test(value ?? '')
}

/** Keys of [runtime]: what pods and containers have unless they say otherwise. */
export const defaultsShape = {
  default_env: z
    .array(z.string().regex(/^[^=\0]+=[^\0]*$/))
    .default([])
    .meta(
      says(
        'Environment variables of every container; those of its image and of the request go over them.',
        'an array of strings "NAME=value"',
      ),
    ),
  default_sysctls: z
    .array(z.string().refine(isNamespaced))
    .default([])
    .meta(
      says(
        'Sysctls of every pod that has the namespace for itself; those of the pod go over them.',
        'an array of strings "name=value", the names below kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and net.*',
      ),
    ),
  enable_unprivileged_ports: z
    .boolean()
    .default(true)
    .meta(
      says(
        'Pods with a network of their own may listen on ports below 1024 without a capability (net.ipv4.ip_unprivileged_port_start=0).',
        'true or false',
      ),
    ),
  enable_unprivileged_icmp: z
    .boolean()
    .default(true)
    .meta(
      says(
        'Pods with a network of their own, and no user namespace, may ping without a capability (net.ipv4.ping_group_range).',
        'true or false',
      ),
    ),
  default_ulimits: z
    .array(z.string().refine((text) => limitOf(text) !== undefined))
    .default([])
    .meta(
      says(
        'Resource limits of every container; the base_spec of a handler goes over them.',
        `an array of strings "name=soft:hard" or "name=both", with numbers or "unlimited", and the names ${LIMITS.join(', ')}`,
      ),
    ),
  default_capabilities: z
    .array(z.string().refine(isCapability))
    .default(defaultCapabilities.map((name) => name.slice('CAP_'.length)))
    .meta(
      says(
        'Capabilities of containers that are not privileged, before the request adds and drops some.',
        'an array of names of capabilities, with or without CAP_',
      ),
    ),
  additional_devices: z
    .array(z.string().refine((text) => parseDeviceArgument(text) !== undefined))
    .default([])
    .meta(
      says(
        "Device nodes that every container has; the request's go over them.",
        'an array of strings "/dev/host", "/dev/host:/dev/container" or "/dev/host:/dev/container:rwm"',
      ),
    ),
  allowed_devices: z
    .array(path)
    .default([])
    .meta(
      says(
        'Device nodes of the host that a pod or container may ask for by the annotation io.kubernetes.cri-o.Devices; others are refused.',
        'an array of absolute paths, such as "/dev/fuse"',
      ),
    ),
  device_ownership_from_security_context: z
    .boolean()
    .default(false)
    .meta(
      says(
        'Device nodes in a container belong to the user and group that the request names, not to whom they belong on the host.',
        'true or false',
      ),
    ),
}

export function containerDefaults(keys: z.infer<z.ZodObject<typeof defaultsShape>>): ContainerDefaults {
  return {
    env: keys.default_env,
    sysctls: Object.fromEntries(keys.default_sysctls.map(split)),
    unprivilegedPorts: keys.enable_unprivileged_ports,
    unprivilegedIcmp: keys.enable_unprivileged_icmp,
    limits: keys.default_ulimits.flatMap((text) => limitOf(text) ?? []),
    capabilities: keys.default_capabilities.map(fullName),
    devices: keys.additional_devices.flatMap((text) => parseDeviceArgument(text) ?? []),
    allowedDevices: keys.allowed_devices,
    devicesOfUser: keys.device_ownership_from_security_context,
  }
}

/** At the first `=`; blanks around name and value are not theirs. */
function split(setting: string): [name: string, value: string] {
  const at = setting.indexOf('=')
  return [setting.slice(0, Math.max(at, 0)).trim(), setting.slice(at + 1).trim()]
}

function limitOf(text: string): ResourceLimit | undefined {
  const [name, values] = split(text)
  const [soft, hard = soft, excess] = values.split(':').map(limitValue)
  const isLimit =
    LIMITS.includes(name) && soft !== undefined && hard !== undefined && soft <= hard && excess === undefined
  return isLimit ? { type: `RLIMIT_${name.toUpperCase()}`, soft, hard } : undefined
}

function limitValue(text: string): number | undefined {
  if (text === 'unlimited' || text === '-1') return Number.POSITIVE_INFINITY
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : undefined
}

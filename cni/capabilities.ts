import { invalidArgument } from '#lib/errors.ts'
import { parseQuantity } from '#lib/quantity.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'
import type { AttachRequest } from '#runtime/ports.ts'
import { ipRangesOf } from './ip-ranges.ts'
import type { PluginConfig } from './network-config.ts'

/** What the runtime offers of a pod, by the capability that a plugin declares to get it. */
export type CapabilityArgs = { readonly [capability: string]: unknown }

/** Throws invalid-argument for a bandwidth that is none, and for address ranges that are none. */
export function capabilityArgs(request: AttachRequest): CapabilityArgs {
  const portMappings = request.portMappings
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ protocol, containerPort, hostPort, hostIp }) => ({
      hostPort,
      containerPort,
      protocol,
      hostIP: hostIp,
    }))
  const bandwidth = bandwidthOf(request.annotations)
  const ipRanges = ipRangesOf(request.annotations)
  const { dns, cgroupParent } = request
  return {
    'io.kubernetes.cri.pod-annotations': request.annotations,
    ...(portMappings.length === 0 ? {} : { portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(ipRanges === undefined ? {} : { ipRanges }),
    ...(dns === undefined
      ? {}
      : { dns: { servers: dns.servers, searches: dns.searches, options: dns.options } }),
    ...(cgroupParent === '' ? {} : { cgroupPath: cgroupParent }),
  }
}

/** Of these, what the plugin declares; undefined where that is nothing. */
export function runtimeConfigFor(plugin: PluginConfig, args: CapabilityArgs): CapabilityArgs | undefined {
  const wanted = Object.entries(args).filter(([capability]) => plugin.capabilities?.[capability] === true)
  return wanted.length === 0 ? undefined : Object.fromEntries(wanted)
}

/** CNI_ARGS, by the names that kubelet's CNI plugins know. Throws invalid-argument for what would add a field. */
export function cniArgs({ sandboxId, pod }: AttachRequest): string {
  const fields = {
    IgnoreUnknown: '1',
    K8S_POD_NAMESPACE: pod.namespace,
    K8S_POD_NAME: pod.name,
    K8S_POD_INFRA_CONTAINER_ID: sandboxId,
    K8S_POD_UID: pod.uid,
  }
  return Object.entries(fields)
    .map(([name, value]) => {
      if (/[;=\0]/.test(value)) {
        throw invalidArgument(
          `${name} ${JSON.stringify(value)} cannot be passed to CNI plugins: it holds ; or =`,
        )
      }
      return `${name}=${value}`
    })
    .join(';')
}

const LEAST_RATE = 1_000n
const GREATEST_RATE = 10n ** 15n
/** As containerd has it: no limit on bursts that the plugin would take. */
const BURST_BITS = 0xff_ff_ff_ff

interface Bandwidth {
  readonly ingressRate: number
  readonly ingressBurst: number
  readonly egressRate: number
  readonly egressBurst: number
}

/** Bits per second, by the pod's annotations; 0 is unlimited. */
function bandwidthOf(annotations: StringMap): Bandwidth | undefined {
  const ingressRate = rateOf(annotations, 'kubernetes.io/ingress-bandwidth')
  const egressRate = rateOf(annotations, 'kubernetes.io/egress-bandwidth')
  if (ingressRate === 0 && egressRate === 0) return undefined
  return {
    ingressRate,
    ingressBurst: ingressRate === 0 ? 0 : BURST_BITS,
    egressRate,
    egressBurst: egressRate === 0 ? 0 : BURST_BITS,
  }
}

function rateOf(annotations: StringMap, name: string): number {
  const text = annotations[name]
  if (text === undefined) return 0
  const rate = quantityOf(name, text)
  if (rate < LEAST_RATE || rate > GREATEST_RATE) {
    throw invalidArgument(`annotation ${name}: ${text} bit/s is out of range: give between 1k and 1P`)
  }
  return Number(rate)
}

function quantityOf(annotation: string, text: string): bigint {
  try {
    return parseQuantity(text)
  } catch (cause) {
    throw invalidArgument(`annotation ${annotation}`, { cause })
  }
}

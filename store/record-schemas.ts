import { z } from 'zod'
import type { IdMapping, IdMappings } from '#lib/id-mappings.ts'
import type {
  ContainerMount,
  ContainerRecord,
  ContainerSpec,
  ContainerState,
  Resources,
  UserRequest,
} from '#runtime/container/record.ts'
import type {
  PodResources,
  SandboxRecord,
  SandboxSpec,
  SelinuxLabels,
  SelinuxOptions,
} from '#runtime/pod-sandbox/record.ts'

/**
 * What a stored record must have for the runtime to live with it. Keys that this version does not know may be there.
 * A field that is added to a record does not compile until it is here.
 */
type ShapeOf<Item> = { readonly [Key in keyof Item]-?: z.ZodType<Item[Key] | undefined> }

const stringMap = z.record(z.string(), z.string())
const strings = z.array(z.string())
const int = z.int()
/** A decimal that JSON has no number for. */
const decimal = z.string().regex(/^\d+$/)
const namespaceMode = z.enum(['pod', 'container', 'node', 'target'])
const process = z.looseObject({ pid: int, startTimeTicks: decimal })

const resources = z.looseObject({
  cpuPeriodUs: int,
  cpuQuotaUs: int,
  cpuShares: int,
  memoryLimitBytes: int,
  memorySwapLimitBytes: int,
  oomScoreAdj: int,
  cpusetCpus: z.string(),
  cpusetMems: z.string(),
  hugepageLimits: z.array(z.looseObject({ pageSize: z.string(), limitBytes: int })),
  unified: stringMap,
} satisfies ShapeOf<Resources>)

const podResources = z.looseObject({ overhead: resources.optional(), containers: resources.optional() })

const idMapping = z.looseObject({ containerId: int, hostId: int, length: int } satisfies ShapeOf<IdMapping>)
const idMappings = z.looseObject({ uids: idMapping, gids: idMapping } satisfies ShapeOf<IdMappings>)
const securityProfile = z.union([
  z.looseObject({ type: z.enum(['RuntimeDefault', 'Unconfined']) }),
  z.looseObject({ type: z.literal('Localhost'), reference: z.string() }),
])

const selinuxOptions = z.looseObject({
  user: z.string(),
  role: z.string(),
  type: z.string(),
  level: z.string(),
} satisfies ShapeOf<SelinuxOptions>)
const selinuxLabels = z.looseObject({
  process: z.string(),
  mount: z.string(),
} satisfies ShapeOf<SelinuxLabels>)

const sandboxSpec = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string(), namespace: z.string(), attempt: int }),
  handler: z.string(),
  hostname: z.string(),
  logDirectory: z.string(),
  dns: z.looseObject({ servers: strings, searches: strings, options: strings }).optional(),
  portMappings: z.array(
    z.looseObject({
      protocol: z.enum(['tcp', 'udp', 'sctp']),
      containerPort: int,
      hostPort: int,
      hostIp: z.string(),
    }),
  ),
  labels: stringMap,
  annotations: stringMap,
  shmSizeBytes: int.optional(),
  cgroupParent: z.string(),
  sysctls: stringMap,
  resources: podResources.optional() as z.ZodType<PodResources | undefined>,
  namespaces: z.looseObject({
    network: z.enum(['pod', 'node']),
    pid: namespaceMode,
    ipc: z.enum(['pod', 'node']),
    user: idMappings.optional(),
  }) as z.ZodType<SandboxSpec['namespaces']>,
  privileged: z.boolean(),
  seccomp: securityProfile.optional(),
  selinux: selinuxOptions.optional(),
} satisfies ShapeOf<SandboxSpec>)

export const sandboxRecordSchema = z.looseObject({
  id: z.string(),
  spec: sandboxSpec as z.ZodType<SandboxSpec>,
  updatedResources: podResources.optional() as z.ZodType<PodResources | undefined>,
  hasInit: z.boolean().optional(),
  selinux: selinuxLabels.optional(),
  createdAtNs: decimal,
  state: z.discriminatedUnion('phase', [
    z.looseObject({ phase: z.literal('creating') }),
    z.looseObject({
      phase: z.literal('ready'),
      ips: strings,
      init: z.looseObject({ init: process, monitor: process }).optional(),
    }),
    z.looseObject({ phase: z.enum(['stopping', 'stopped']), ips: strings }),
  ]) as z.ZodType<SandboxRecord['state']>,
} satisfies ShapeOf<SandboxRecord>)

const containerMount = z.looseObject({
  containerPath: z.string(),
  hostPath: z.string(),
  readonly: z.boolean(),
  recursiveReadonly: z.boolean().optional(),
  propagation: z.enum(['private', 'host-to-container', 'bidirectional']),
  options: strings.optional(),
  selinuxRelabel: z.boolean().optional(),
  image: z
    .looseObject({ reference: z.string(), userSpecifiedImage: z.string(), subPath: z.string() })
    .optional(),
  idMappings: idMappings.optional(),
} satisfies ShapeOf<ContainerMount>)

const userRequest = z.looseObject({
  user: z.string(),
  group: int.optional(),
  supplementalGroups: z.array(int),
  strictGroups: z.boolean().optional(),
} satisfies ShapeOf<UserRequest>)

const security = z.looseObject({
  user: userRequest as z.ZodType<UserRequest>,
  privileged: z.boolean(),
  readonlyRootfs: z.boolean(),
  noNewPrivileges: z.boolean(),
  addCapabilities: strings,
  dropCapabilities: strings,
  ambientCapabilities: strings.optional(),
  seccomp: securityProfile.optional(),
  apparmor: securityProfile.optional(),
  selinux: selinuxOptions.optional(),
  maskedPaths: strings,
  readonlyPaths: strings,
  namespaces: z.looseObject({
    pid: namespaceMode,
    targetId: z.string(),
    user: idMappings.optional(),
  }) as z.ZodType<ContainerSpec['security']['namespaces']>,
} satisfies ShapeOf<ContainerSpec['security']>)

const containerSpec = z.looseObject({
  sandboxId: z.string(),
  name: z.string(),
  attempt: int,
  imageReference: z.string(),
  userSpecifiedImage: z.string(),
  command: strings,
  args: strings,
  workingDirectory: z.string(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string() })),
  mounts: z.array(containerMount) as z.ZodType<ContainerSpec['mounts']>,
  devices: z.array(
    z.looseObject({ containerPath: z.string(), hostPath: z.string(), permissions: z.string() }),
  ),
  cdiDevices: strings.optional(),
  labels: stringMap,
  annotations: stringMap,
  logPath: z.string(),
  stdin: z.boolean(),
  stdinOnce: z.boolean(),
  tty: z.boolean(),
  stopSignal: z.string(),
  resources,
  security: security as z.ZodType<ContainerSpec['security']>,
} satisfies ShapeOf<ContainerSpec>)

export const containerRecordSchema = z.looseObject({
  id: z.string(),
  spec: containerSpec as z.ZodType<ContainerSpec>,
  handler: z.string(),
  imageId: z.string(),
  imageDigest: z.string().optional(),
  imageVolumes: z
    .array(z.looseObject({ containerPath: z.string(), imageId: z.string(), digest: z.string() }))
    .optional(),
  user: z.looseObject({ uid: int, gid: int, additionalGids: z.array(int) }),
  logFile: z.string(),
  stopSignal: z.string(),
  createdAtNs: decimal,
  state: z.discriminatedUnion('phase', [
    z.looseObject({ phase: z.literal('creating') }),
    z.looseObject({ phase: z.literal('created'), init: process, monitor: process }),
    z.looseObject({ phase: z.literal('running'), init: process, monitor: process, startedAtNs: decimal }),
    z.looseObject({
      phase: z.literal('exited'),
      startedAtNs: decimal.optional(),
      finishedAtNs: decimal,
      exitCode: int,
      reason: z.enum(['Completed', 'Error', 'OOMKilled', 'StartError', 'Unknown']),
      message: z.string(),
    }),
  ]) as z.ZodType<ContainerState>,
} satisfies ShapeOf<ContainerRecord>)

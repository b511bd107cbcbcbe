import type { Device } from './container/record.ts'
import type { StringMap } from './pod-sandbox/record.ts'

export interface ResourceLimit {
  /** RLIMIT_NOFILE */
  readonly type: string
  /** Infinity for no limit. */
  readonly soft: number
  readonly hard: number
}

/** What pods and containers of this node have unless they say otherwise: config/defaults-schema.ts says what each means. */
export interface ContainerDefaults {
  /** NAME=value. */
  readonly env: readonly string[]
  /** By names as a pod gives them; each counts for pods that have the namespace for themselves. */
  readonly sysctls: StringMap
  readonly unprivilegedPorts: boolean
  readonly unprivilegedIcmp: boolean
  readonly limits: readonly ResourceLimit[]
  /** CAP_…: of containers that are not privileged. */
  readonly capabilities: readonly string[]
  /** That every container has. */
  readonly devices: readonly Device[]
  /** Those that a pod may ask for by an annotation. */
  readonly allowedDevices: readonly string[]
  /** Device nodes belong to the user that a request names, not to whom they belong on the host. */
  readonly devicesOfUser: boolean
}

/** containerd's and Docker's list. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]

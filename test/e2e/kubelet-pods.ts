import { IMAGE } from './pod.ts'

/** A pod as Kubernetes' API writes it, as far as tests name its parts. */
export interface Manifest {
  readonly apiVersion: 'v1'
  readonly kind: 'Pod'
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: Fields
}

/** What kubelet tells of a pod, as far as it is looked at. */
export interface PodState {
  readonly metadata: { readonly name: string; readonly uid: string }
  readonly status: {
    readonly phase?: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses?: readonly ContainerState[]
    readonly initContainerStatuses?: readonly ContainerState[]
  }
}

export interface ContainerState {
  readonly name: string
  readonly ready: boolean
  readonly restartCount: number
  readonly containerID?: string
  readonly state: StateOf
  readonly lastState: StateOf
}

interface StateOf {
  readonly waiting?: { readonly reason: string; readonly message?: string }
  readonly running?: { readonly startedAt: string }
  readonly terminated?: {
    readonly reason: string
    readonly message?: string
    readonly exitCode: number
    readonly startedAt: string
    readonly finishedAt: string
  }
}

type Fields = { readonly [field: string]: unknown }

/** A static pod of one container named main that runs `script`, or of those that `spec` has. */
export const manifest = (name: string, script: string, fields: Fields = {}, spec: Fields = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { terminationGracePeriodSeconds: 1, containers: [container('main', script, fields)], ...spec },
})

/** A container of the image that the node has, which is in no registry. */
export const container = (name: string, script: string, fields: Fields = {}): Fields => ({
  name,
  image: IMAGE,
  imagePullPolicy: 'Never',
  command: ['sh', '-c', script],
  ...fields,
})

/** Sleeps until it is to end. */
export const SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
/** Sleeps, and does not end when it is asked to. */
export const DEAF = "trap '' TERM; while :; do sleep 0.1; done"

export const isReady = ({ status }: PodState): boolean =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

export const containerOf = ({ status }: PodState, name = 'main'): ContainerState | undefined =>
  [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].find(
    (one) => one.name === name,
  )

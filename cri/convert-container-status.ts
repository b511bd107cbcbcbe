import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerRecord, ContainerState } from '#runtime/container/record.ts'
import { mountToWire } from './convert-mounts.ts'
import { resourcesToWire } from './convert-resources.ts'
import { stopSignalToWire } from './convert-stop-signal.ts'

export function containerToWire(record: ContainerRecord): wire.Container {
  const { id, spec, imageId, createdAtNs, state } = record
  return {
    id,
    podSandboxId: spec.sandboxId,
    metadata: { name: spec.name, attempt: spec.attempt },
    image: imageSpec(spec),
    // By it kubelets that know no imageId find which images are in use.
    imageRef: imageId,
    state: containerState(state.phase),
    createdAt: BigInt(createdAtNs),
    labels: spec.labels,
    annotations: spec.annotations,
    imageId,
  }
}

export function containerStatusToWire(record: ContainerRecord): wire.ContainerStatus {
  const { spec, user } = record
  const { podSandboxId: _, ...container } = containerToWire(record)
  return {
    ...container,
    // What pods' statuses show as imageID.
    imageRef: record.imageDigest ?? record.imageId,
    ...lifeOf(record.state),
    mounts: spec.mounts.map((mount) => mountToWire(mount, record.imageVolumes)),
    logPath: record.logFile,
    resources: { linux: resourcesToWire(spec.resources), windows: undefined },
    user: {
      linux: {
        uid: BigInt(user.uid),
        gid: BigInt(user.gid),
        supplementalGroups: user.additionalGids.map(BigInt),
      },
    },
    stopSignal: stopSignalToWire(record.stopSignal),
  }
}

/** The image as the user named it: kubelet sends the id it resolved to, and the name beside it. */
const imageSpec = ({ imageReference, userSpecifiedImage }: ContainerRecord['spec']): wire.ImageSpec => ({
  image: userSpecifiedImage || imageReference,
  annotations: {},
  userSpecifiedImage,
  runtimeHandler: '',
  imageRef: '',
})

/** Zero is "not specified" for a time. */
function lifeOf(
  state: ContainerState,
): Pick<wire.ContainerStatus, 'startedAt' | 'finishedAt' | 'exitCode' | 'reason' | 'message'> {
  const exited = state.phase === 'exited' ? state : undefined
  const startedAtNs = 'startedAtNs' in state ? state.startedAtNs : undefined
  return {
    startedAt: BigInt(startedAtNs ?? 0),
    finishedAt: BigInt(exited?.finishedAtNs ?? 0),
    exitCode: exited?.exitCode ?? 0,
    reason: exited?.reason ?? '',
    message: exited?.message ?? '',
  }
}

const states = {
  creating: wire.ContainerState.CONTAINER_UNKNOWN,
  created: wire.ContainerState.CONTAINER_CREATED,
  running: wire.ContainerState.CONTAINER_RUNNING,
  exited: wire.ContainerState.CONTAINER_EXITED,
} as const

export const containerState = (phase: ContainerState['phase']): wire.ContainerState => states[phase]

import type { ContainerSpec } from '../container/record.ts'
import type { IntelRdt } from '../injection-port.ts'
import type { SandboxSpec } from '../pod-sandbox/record.ts'
import type { BlockIo, ResourceClasses } from '../resource-classes-port.ts'
import type { OciSpec } from './oci-spec.ts'

export interface ClassLimits {
  readonly blockIo: BlockIo | undefined
  readonly rdt: IntelRdt | undefined
}

/**
 * What the classes stand for that annotations name: the container's own, else the pod's for this container, else the
 * pod's for all of them. The names are those of goresctrl, which containerd and CRI-O use.
 */
export function classLimits(
  container: ContainerSpec,
  pod: SandboxSpec,
  classes: ResourceClasses,
): ClassLimits {
  const named = (kind: 'blockio' | 'rdt'): string | undefined =>
    container.annotations[`io.kubernetes.cri.${kind}-class`] ??
    pod.annotations[`${kind}.resources.beta.kubernetes.io/container.${container.name}`] ??
    pod.annotations[`${kind}.resources.beta.kubernetes.io/pod`]
  const [blockIo, rdt] = [named('blockio'), named('rdt')]
  return {
    blockIo: blockIo === undefined ? undefined : classes.blockIo(blockIo),
    rdt: rdt === undefined ? undefined : classes.rdt(rdt),
  }
}

export function withClassLimits(spec: OciSpec, { blockIo, rdt }: ClassLimits): OciSpec {
  const { linux } = spec
  return {
    ...spec,
    linux: {
      ...linux,
      resources: { ...linux.resources, ...(blockIo === undefined ? {} : { blockIO: blockIo }) },
      ...(rdt === undefined ? {} : { intelRdt: rdt }),
    },
  }
}

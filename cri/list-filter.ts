import { invalidArgument } from '#lib/errors.ts'
import {
  type Container,
  type ContainerFilter,
  ContainerState,
  type ContainerStatsFilter,
  type PodSandbox,
  type PodSandboxFilter,
  PodSandboxState,
  type PodSandboxStatsFilter,
} from '#proto/gen/runtime/v1/api.ts'
import type { ContainerRecord } from '#runtime/container/record.ts'
import type { SandboxRecord } from '#runtime/pod-sandbox/record.ts'

/** The fields of a filter are ANDed, and so are its labels; ids may be prefixes. Throws invalid-argument for an unknown state. */
export function sandboxFilter(filter: PodSandboxFilter | undefined): (sandbox: PodSandbox) => boolean {
  if (filter === undefined) return () => true
  const { id, state, labelSelector } = filter
  checkState(state, Object.values(PodSandboxState))
  return (sandbox) =>
    sandbox.id.startsWith(id) &&
    (state === undefined || sandbox.state === state.state) &&
    hasLabels(sandbox.labels, labelSelector)
}

export function containerFilter(filter: ContainerFilter | undefined): (container: Container) => boolean {
  if (filter === undefined) return () => true
  const { id, podSandboxId, state, labelSelector } = filter
  checkState(state, Object.values(ContainerState))
  return (container) =>
    container.id.startsWith(id) &&
    container.podSandboxId.startsWith(podSandboxId) &&
    (state === undefined || container.state === state.state) &&
    hasLabels(container.labels, labelSelector)
}

export function sandboxStatsFilter(
  filter: PodSandboxStatsFilter | undefined,
): (sandbox: SandboxRecord) => boolean {
  if (filter === undefined) return () => true
  const { id, labelSelector } = filter
  return (sandbox) => sandbox.id.startsWith(id) && hasLabels(sandbox.spec.labels, labelSelector)
}

export function containerStatsFilter(
  filter: ContainerStatsFilter | undefined,
): (container: ContainerRecord) => boolean {
  if (filter === undefined) return () => true
  const { id, podSandboxId, labelSelector } = filter
  return (container) =>
    container.id.startsWith(id) &&
    container.spec.sandboxId.startsWith(podSandboxId) &&
    hasLabels(container.spec.labels, labelSelector)
}

type Labels = { readonly [key: string]: string }

const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value)

function checkState(wanted: { readonly state: number } | undefined, known: readonly number[]): void {
  if (wanted === undefined || known.includes(wanted.state)) return
  throw invalidArgument(`filter.state is ${wanted.state}: it may be ${known.join(', ')}`)
}

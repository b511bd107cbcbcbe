import { invalidArgument } from '#lib/errors.ts'
import {
  type Container,
  type ContainerFilter,
  ContainerState,
  type PodSandbox,
  type PodSandboxFilter,
  PodSandboxState,
} from '#proto/gen/runtime/v1/api.ts'

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

type Labels = { readonly [key: string]: string }

const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value)

function checkState(wanted: { readonly state: number } | undefined, known: readonly number[]): void {
  if (wanted === undefined || known.includes(wanted.state)) return
  throw invalidArgument(`filter.state is ${wanted.state}: it may be ${known.join(', ')}`)
}

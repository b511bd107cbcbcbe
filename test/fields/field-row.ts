import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Daemon } from '#test/e2e/daemon.ts'
import type { Container, Fields, Pod } from '#test/e2e/pod.ts'

/** Where the effect of a field is looked for: a running container and its pod. */
export interface Shown {
  readonly daemon: Daemon
  readonly pod: Pod
  readonly container: Container
}

/** How a field is set, and its effect seen. Without the field the same look must find something else. */
export interface Effect {
  /** Set at the field's path, or what makes it; the rest of the request has it where there is none. */
  readonly value?: unknown
  readonly seen: (shown: Shown) => unknown
  /** What is seen then: a value, or a matcher of Vitest's. */
  readonly is: unknown
  /** Every request has this one. */
  readonly always?: true
}

export type FieldRow =
  | Effect
  /** Why it has no effect. */
  | { readonly none: string }
  /** What this test can't show here, and the test that does: a file, and words of the test's name. */
  | { readonly elsewhere: string; readonly test: string }

/** By the paths of the fields, as `apiFields` has them. */
export type FieldTable = { readonly [path: string]: FieldRow }

/** A container, and what is seen of its fields. */
export interface ContainerGroup {
  /** What the request has beside the values of the rows. */
  readonly base?: Fields
  readonly rows: FieldTable
}

/** A pod, what is seen of its fields in a container of it, and further containers in it. */
export interface PodGroup {
  readonly name: string
  /** Of the pod's config. */
  readonly base?: Fields
  /** Of the config of each of its containers. */
  readonly containers?: Fields
  readonly rows: FieldTable
  readonly groups: readonly ContainerGroup[]
}

export const effect = (value: unknown, seen: Effect['seen'], is: unknown = value): FieldRow => ({
  ...{ value, seen, is },
})
export const shows = (seen: Effect['seen'], is: unknown): FieldRow => ({ seen, is })
export const none = (why: string): FieldRow => ({ none: why })
export const elsewhere = (file: string, test: string): FieldRow => ({ elsewhere: file, test })

/** A table whose paths lie below another. */
export const under = (prefix: string, table: FieldTable): FieldTable =>
  Object.fromEntries(Object.entries(table).map(([path, row]) => [`${prefix}.${path}`, row]))

/** One row for several fields. */
export const each = (paths: readonly string[], row: FieldRow): FieldTable =>
  Object.fromEntries(paths.map((path) => [path, row]))

export const resourceFields = [
  ...['cpu_period', 'cpu_quota', 'cpu_shares', 'cpuset_cpus', 'cpuset_mems', 'oom_score_adj'],
  ...['memory_limit_in_bytes', 'memory_swap_limit_in_bytes'],
  ...['hugepage_limits.page_size', 'hugepage_limits.limit', 'unified'],
] as const

export const executed =
  (...command: readonly string[]): Effect['seen'] =>
  ({ container }) =>
    container.exec(...command).catch((error: Error) => error.message)

/** A part of the container's or the pod's status, by its path: `metadata.attempt`. */
export const statusOf =
  (path: string): Effect['seen'] =>
  async ({ container }) =>
    at(await container.status(), path)
export const podStatusOf =
  (path: string): Effect['seen'] =>
  async ({ pod }) =>
    at(await pod.status(), path)

/** Of a container's first process, on the host. */
export const pidOf = ({ daemon, container }: Shown): number =>
  Number(readFileSync(join(daemon.state, 'containers', container.id, 'pid'), 'utf8'))

/** A file of the container's first process below /proc, or what matches in it. */
export const processFile =
  (file: string, pattern = /^.*$/s): Effect['seen'] =>
  (shown) => {
    const match = readFileSync(`/proc/${pidOf(shown)}/${file}`, 'utf8').match(pattern)
    return match?.[1] ?? match?.[0]
  }

/** A part of the container's config.json. */
export const configJson =
  (path: string): Effect['seen'] =>
  ({ daemon, container }) => {
    const file = join(daemon.state, 'containers', container.id, 'bundle/config.json')
    return at(JSON.parse(readFileSync(file, 'utf8')) as Fields, path)
  }

/** The line of the container's mountinfo for what is mounted at the path last. */
export const mountedAt =
  (path: string): Effect['seen'] =>
  (shown) =>
    readFileSync(`/proc/${pidOf(shown)}/mountinfo`, 'utf8')
      .split('\n')
      .findLast((line) => line.split(' ')[4] === path)

function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (parent, step) =>
        parent === null || parent === undefined ? parent : Reflect.get(parent as object, step),
      value,
    )
}

import { afterAll, beforeAll, expect } from 'vitest'
import { withField } from '#test/fields/api-fields.ts'
import type { Effect, FieldTable, Shown } from '#test/fields/field-row.ts'
import { podGroups } from '#test/fields/fields-of-pod.ts'
import { podUpdateBase, updatedPodResources, updatedResources } from '#test/fields/fields-of-resources.ts'
import { CDI_SPECS, prepareFields, removeFields } from '#test/fields/lab.ts'
import type { Daemon } from './daemon.ts'
import { testOnEach, useDaemon } from './host.ts'
import {
  type Container,
  containerConfig,
  containerOf,
  type Fields,
  type Pod,
  podConfig,
  SLEEP,
} from './pod.ts'

/** Each field of the CRI's requests is set, and its effect seen; and not without it. test/fields has the tables. */
const daemon: () => Daemon = useDaemon({ config: `[runtime]\ncdi_spec_dirs = ["${CDI_SPECS}"]` })
beforeAll(() => prepareFields(daemon()))
afterAll(removeFields)

const effects = (table: FieldTable): readonly (readonly [path: string, Effect])[] =>
  Object.entries(table).flatMap(([path, row]) => ('seen' in row ? [[path, row] as const] : []))

/** A request with the values of the table's rows; `before` is the id of the container before. */
function filled(request: object, table: FieldTable, before = ''): { readonly config: Fields } {
  return effects(table).reduce<object>((made, [path, { value }]) => {
    if (value === undefined) return made
    return withField(made, path, typeof value === 'function' ? value(before) : value)
  }, request) as { readonly config: Fields }
}

/** Messages of the second go into those of the first. */
function merged(one: Fields, other: Fields): Fields {
  const isMessage = (value: unknown): value is Fields =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
  const both = Object.entries(other).map(([name, value]) => {
    const mine = one[name]
    return [name, isMessage(mine) && isMessage(value) ? merged(mine, value) : value]
  })
  return { ...one, ...Object.fromEntries(both) }
}

async function runPod(handler: string, base: Fields, rows: FieldTable): Promise<Pod> {
  const config = merged(podConfig(daemon()), base)
  const request = filled({ config, runtime_handler: handler }, rows)
  const { pod_sandbox_id: id } = await daemon().rpc('RunPodSandbox', request)
  const create = (): never => {
    throw new Error('use runContainer')
  }
  return {
    ...{
      id,
      config: request.config,
      logDirectory: `${request.config['log_directory']}`,
      create,
      run: create,
    },
    status: async () => (await daemon().rpc('PodSandboxStatus', { pod_sandbox_id: id }))['status'],
    async [Symbol.asyncDispose]() {
      await daemon().rpc('StopPodSandbox', { pod_sandbox_id: id })
      await daemon().rpc('RemovePodSandbox', { pod_sandbox_id: id })
    },
  }
}

async function runContainer(pod: Pod, base: Fields, rows: FieldTable, before = ''): Promise<Shown> {
  const config = merged(containerConfig({ command: SLEEP }), base)
  const request = filled({ pod_sandbox_id: pod.id, config, sandbox_config: pod.config }, rows, before)
  const { container_id: id } = await daemon().rpc('CreateContainer', request)
  await daemon().rpc('StartContainer', { container_id: id })
  const container: Container = containerOf(daemon(), id, request.config)
  return { daemon: daemon(), pod, container }
}

/** What is not as the table says: with the fields, and without them. */
async function expectSeen(table: FieldTable, shown: Shown, without: Shown | undefined): Promise<void> {
  for (const [path, { seen, is, always }] of effects(table)) {
    expect.soft(await seen(shown), path).toEqual(is)
    if (always === true || without === undefined) continue
    expect.soft(await seen(without), `${path} is not set`).not.toEqual(is)
  }
}

for (const { name, base = {}, containers = {}, rows, groups } of podGroups) {
  testOnEach(`%s: each field of a pod ${name} and of its containers has its effect`, async (handler) => {
    await using plain = await runPod(handler, {}, {})
    const without = await runContainer(plain, {}, {})
    await using pod = await runPod(handler, base, rows)
    const first = await runContainer(pod, containers, {})
    await expectSeen(rows, first, without)
    let before = first
    for (const group of groups) {
      before = await runContainer(pod, merged(containers, group.base ?? {}), group.rows, before.container.id)
      await expectSeen(group.rows, before, without)
    }
  })
}

testOnEach('%s: each field of an update has its effect', async (handler) => {
  await using pod = await runPod(handler, {}, {})
  const shown = await runContainer(pod, {}, {})
  const tables = [updatedResources, updatedPodResources]
  for (const [path, { seen, is, always }] of tables.flatMap(effects))
    if (always !== true) expect.soft(await seen(shown), `${path} before`).not.toEqual(is)
  const ids = { container_id: shown.container.id, pod_sandbox_id: pod.id }
  await daemon().rpc('UpdateContainerResources', filled({ container_id: ids.container_id }, updatedResources))
  await daemon().rpc(
    'UpdatePodSandboxResources',
    filled({ pod_sandbox_id: pod.id, ...podUpdateBase }, updatedPodResources),
  )
  for (const table of tables) await expectSeen(table, shown, undefined)
})

import { expect, test } from 'vitest'
import {
  ContainerFilter,
  ContainerState,
  ContainerStatsFilter,
  PodSandboxFilter,
  PodSandboxState,
  PodSandboxStatsFilter,
} from '#proto/gen/runtime/v1/api.ts'
import { containerRecord, containerSpec, sandboxRecord, sandboxSpec } from './fake-services.ts'
import { containerStatsFilter, sandboxStatsFilter } from './list-filter.ts'
import { listOfContainers } from './list-of-containers.ts'
import { listSandboxes } from './list-sandboxes.ts'

const all = PodSandboxFilter.decode(new Uint8Array())
const sandboxes = [
  sandboxRecord({ id: 'aa1', spec: sandboxSpec({ labels: { app: 'web', tier: 'front' } }) }),
  sandboxRecord({
    id: 'aa2',
    state: { phase: 'stopped', ips: [] },
    spec: sandboxSpec({ labels: { app: 'web' } }),
  }),
  sandboxRecord({ id: 'b', state: { phase: 'creating' } }),
]

test.for<[Partial<PodSandboxFilter> | undefined, string[]]>([
  [undefined, ['aa1', 'aa2']],
  [{}, ['aa1', 'aa2']],
  [{ id: 'aa1' }, ['aa1']],
  [{ id: 'a' }, ['aa1', 'aa2']],
  [{ id: 'b' }, []],
  [{ state: { state: PodSandboxState.SANDBOX_NOTREADY } }, ['aa2']],
  [{ labelSelector: { app: 'web' } }, ['aa1', 'aa2']],
  [{ labelSelector: { app: 'web', tier: 'front' } }, ['aa1']],
  [{ labelSelector: { app: 'web' }, state: { state: PodSandboxState.SANDBOX_READY } }, ['aa1']],
  [{ id: 'aa2', labelSelector: { tier: 'front' } }, []],
])('of sandboxes, %o lists %o', ([filter, ids]) => {
  const found = listSandboxes({ list: () => sandboxes }, filter && { ...all, ...filter })
  expect(found.map(({ id }) => id)).toEqual(ids)
})

const everything = ContainerFilter.decode(new Uint8Array())
const process = { pid: 42, startTimeTicks: '1234' }
const containers = [
  containerRecord({ id: 'c1', spec: containerSpec({ sandboxId: 'aa1', labels: { app: 'web' } }) }),
  containerRecord({
    id: 'c2',
    state: { phase: 'created', init: process, monitor: process },
    spec: containerSpec({ sandboxId: 'aa2' }),
  }),
  containerRecord({ id: 'c3', state: { phase: 'creating' } }),
]

test.for<[Partial<ContainerFilter> | undefined, string[]]>([
  [undefined, ['c1', 'c2']],
  [{ id: 'c1' }, ['c1']],
  [{ id: 'c' }, ['c1', 'c2']],
  [{ podSandboxId: 'aa2' }, ['c2']],
  [{ podSandboxId: 'aa' }, ['c1', 'c2']],
  [{ state: { state: ContainerState.CONTAINER_CREATED } }, ['c2']],
  [{ labelSelector: { app: 'web' } }, ['c1']],
  [{ podSandboxId: 'aa2', labelSelector: { app: 'web' } }, []],
])('of containers, %o lists %o', ([filter, ids]) => {
  const found = listOfContainers({ list: () => containers }, filter && { ...everything, ...filter })
  expect(found.map(({ id }) => id)).toEqual(ids)
})

test('an unknown state is refused', () => {
  const state = { state: 9 as ContainerState }
  expect(() => listOfContainers({ list: () => containers }, { ...everything, state })).toThrow(
    'filter.state is 9',
  )
})

test.for<[Partial<ContainerStatsFilter> | undefined, string[]]>([
  [undefined, ['c1', 'c2']],
  [{ id: 'c' }, ['c1', 'c2']],
  [{ id: 'c2' }, ['c2']],
  [{ podSandboxId: 'aa1' }, ['c1']],
  [{ labelSelector: { app: 'web' } }, ['c1']],
  [{ id: 'c2', labelSelector: { app: 'web' } }, []],
])('stats of containers with %o are of %o', ([filter, ids]) => {
  const none = ContainerStatsFilter.decode(new Uint8Array())
  const wanted = containers.slice(0, 2).filter(containerStatsFilter(filter && { ...none, ...filter }))
  expect(wanted.map(({ id }) => id)).toEqual(ids)
})

test.for<[Partial<PodSandboxStatsFilter> | undefined, string[]]>([
  [undefined, ['aa1', 'aa2']],
  [{ id: 'aa' }, ['aa1', 'aa2']],
  [{ labelSelector: { app: 'web', tier: 'front' } }, ['aa1']],
  [{ id: 'aa2', labelSelector: { tier: 'front' } }, []],
])('stats of sandboxes with %o are of %o', ([filter, ids]) => {
  const none = PodSandboxStatsFilter.decode(new Uint8Array())
  const wanted = sandboxes.slice(0, 2).filter(sandboxStatsFilter(filter && { ...none, ...filter }))
  expect(wanted.map(({ id }) => id)).toEqual(ids)
})

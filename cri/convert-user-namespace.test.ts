import { expect, test } from 'vitest'
import type { IdMappings } from '#lib/id-mappings.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import { convertMount, mountToWire } from './convert-mounts.ts'
import {
  convertContainerNamespaces,
  convertSandboxNamespaces,
  namespaceStatus,
  requireSameUserNamespace,
} from './convert-namespaces.ts'

const { CONTAINER, NODE, POD, TARGET } = wire.NamespaceMode
const uids = { containerId: 0, hostId: 100_000, length: 65_536 }
const gids = { containerId: 0, hostId: 200_000, length: 65_536 }
const user: IdMappings = { uids, gids }

const options = (usernsOptions: wire.UserNamespace, more: Partial<wire.NamespaceOption> = {}) => ({
  ...wire.NamespaceOption.decode(new Uint8Array()),
  pid: CONTAINER,
  ...more,
  usernsOptions,
})

test("a pod's user namespace arrives in the specs of sandbox and container, and is echoed", () => {
  const wanted = options({ mode: POD, uids: [uids], gids: [gids] })
  const sandbox = convertSandboxNamespaces(wanted)
  expect(sandbox).toEqual({ network: 'pod', pid: 'container', ipc: 'pod', user })
  expect(convertContainerNamespaces(wanted)).toEqual({ pid: 'container', targetId: '', user })
  expect(namespaceStatus(sandbox)).toEqual(wanted)
})

test('in a container of a target, too', () => {
  const wanted = options({ mode: POD, uids: [uids], gids: [gids] }, { pid: TARGET, targetId: 'c1' })
  expect(convertContainerNamespaces(wanted)).toEqual({ pid: 'target', targetId: 'c1', user })
})

test("on the host's network there may be one", () => {
  const wanted = options({ mode: POD, uids: [uids], gids: [gids] }, { network: NODE })
  expect(convertSandboxNamespaces(wanted)).toMatchObject({ network: 'node', user })
})

test('NODE is none', () => {
  const wanted = options({ mode: NODE, uids: [], gids: [] })
  expect(convertSandboxNamespaces(wanted)).not.toHaveProperty('user')
  expect(convertContainerNamespaces(wanted)).not.toHaveProperty('user')
})

const at = 'linux.security_context.namespace_options'

test.for<[wire.UserNamespace, Partial<wire.NamespaceOption>, string]>([
  [
    { mode: CONTAINER, uids: [], gids: [] },
    {},
    `${at}.userns_options.mode is CONTAINER: it may be POD or NODE`,
  ],
  [{ mode: TARGET, uids: [], gids: [] }, {}, `${at}.userns_options.mode is TARGET`],
  [{ mode: NODE, uids: [uids], gids: [] }, {}, `${at}.userns_options.uids is set, but mode is NODE`],
  [{ mode: NODE, uids: [], gids: [gids] }, {}, `${at}.userns_options.gids is set, but mode is NODE`],
  [{ mode: POD, uids: [], gids: [gids] }, {}, `${at}.userns_options.uids has 0 mappings: give one`],
  [{ mode: POD, uids: [uids], gids: [] }, {}, `${at}.userns_options.gids has 0 mappings: give one`],
  [{ mode: POD, uids: [uids, uids], gids: [gids] }, {}, `${at}.userns_options.uids has 2 mappings: give one`],
  [
    { mode: POD, uids: [{ ...uids, length: 0 }], gids: [gids] },
    {},
    `${at}.userns_options.uids[0].length is 0: map at least one id`,
  ],
  [
    { mode: POD, uids: [{ ...uids, containerId: 1 }], gids: [gids] },
    {},
    `${at}.userns_options.uids[0].container_id is 1: map the ids from 0 on, root's`,
  ],
  [
    { mode: POD, uids: [uids], gids: [{ ...gids, hostId: 4_294_901_760 }] },
    {},
    `${at}.userns_options.gids[0].host_id is 4294901760 with length 65536: the last id is 4294967294`,
  ],
  [
    { mode: POD, uids: [uids], gids: [gids] },
    { pid: NODE },
    `${at}.pid is NODE, but userns_options.mode is POD`,
  ],
  [
    { mode: POD, uids: [uids], gids: [gids] },
    { ipc: NODE },
    `${at}.ipc is NODE, but userns_options.mode is POD`,
  ],
])('what can be no user namespace is refused by its field: %#', ([userNamespace, more, message]) => {
  expect(() => convertSandboxNamespaces(options(userNamespace, more))).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test('the last id there is can be mapped', () => {
  const last = { ...uids, hostId: 4_294_901_759 }
  expect(convertSandboxNamespaces(options({ mode: POD, uids: [last], gids: [gids] })).user?.uids).toEqual(
    last,
  )
})

test('container and sandbox have the same user namespace', () => {
  const none = { network: 'pod', pid: 'container', ipc: 'pod' } as const
  const container = { pid: 'container', targetId: '' } as const
  const other = { uids, gids: uids }
  requireSameUserNamespace(container, none)
  requireSameUserNamespace({ ...container, user }, { ...none, user: structuredClone(user) })
  for (const [wanted, given] of [
    [user, undefined],
    [undefined, user],
    [user, other],
  ]) {
    const [inContainer, inSandbox] = [wanted, given].map((each) => (each === undefined ? {} : { user: each }))
    expect(() =>
      requireSameUserNamespace({ ...container, ...inContainer }, { ...none, ...inSandbox }),
    ).toThrow(/userns_options is .+, but its sandbox's is .+: give both the same/)
  }
})

const mount = (changes: Partial<wire.Mount>) => ({
  ...wire.Mount.decode(new Uint8Array()),
  containerPath: '/data',
  hostPath: '/srv',
  ...changes,
})

test('the mappings of a mount arrive and are echoed', () => {
  const converted = convertMount(mount({ uidMappings: [uids], gidMappings: [gids] }), 0)
  expect(converted.idMappings).toEqual(user)
  expect(mountToWire(converted)).toMatchObject({ uidMappings: [uids], gidMappings: [gids] })
  expect(convertMount(mount({}), 0)).not.toHaveProperty('idMappings')
})

test.for<[Partial<wire.Mount>, string]>([
  [{ uidMappings: [uids] }, 'mounts[0].gidMappings has 0 mappings: give one'],
  [{ gidMappings: [gids] }, 'mounts[0].uidMappings has 0 mappings: give one'],
  [{ uidMappings: [uids, uids], gidMappings: [gids] }, 'mounts[0].uidMappings has 2 mappings'],
  [
    { uidMappings: [{ ...uids, length: 0 }], gidMappings: [gids] },
    'mounts[0].uidMappings[0].length is 0: map at least one id',
  ],
  [
    {
      uidMappings: [uids],
      gidMappings: [gids],
      propagation: wire.MountPropagation.PROPAGATION_BIDIRECTIONAL,
    },
    'mounts[0].propagation is PROPAGATION_BIDIRECTIONAL, which a mount with uidMappings',
  ],
])('a mount whose ids cannot be mapped so is refused by its field: %#', ([changes, message]) => {
  expect(() => convertMount(mount(changes), 0)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

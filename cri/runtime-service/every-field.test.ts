import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { RuntimeServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import {
  containerRecord,
  fakeCall,
  fakeRuntimeService,
  sandboxRecord,
  sandboxSpec,
} from '../fake-services.ts'
import { populated, recording, unreadFields, validResources, withFields } from '../unread-fields.ts'

const { methods } = RuntimeServiceDefinition
type MethodName = keyof typeof methods

const idMapping = { containerId: 0, hostId: 100_000, length: 65_536 }
const userNamespace = { mode: 0, uids: [idMapping], gids: [idMapping] }
const namespaceOptions = 'linux.securityContext.namespaceOptions'

/** What makes a populated message valid, so that the whole of it is converted. */
const valid: { readonly [name in MethodName]?: { readonly [path: string]: unknown } } = {
  runPodSandbox: {
    runtimeHandler: 'runc',
    ...validResources('config.linux.overhead'),
    ...validResources('config.linux.resources'),
    'config.logDirectory': '/var/log/pods/web',
    'config.portMappings.0.hostIp': '127.0.0.1',
    'config.linux.sysctls': { 'net.core.somaxconn': '1' },
    'config.linux.securityContext.selinuxOptions.level': 's0',
    'config.linux.securityContext.seccomp.localhostRef': '',
    'config.linux.securityContext.seccompProfilePath': '',
    [`config.${namespaceOptions}.network`]: 0,
    [`config.${namespaceOptions}.ipc`]: 0,
    [`config.${namespaceOptions}.usernsOptions`]: userNamespace,
  },
  createContainer: {
    ...validResources('config.linux.resources'),
    'config.workingDir': '/srv',
    'config.mounts.0.containerPath': '/data',
    'config.mounts.0.hostPath': '/srv/data',
    'config.mounts.0.uidMappings': [idMapping],
    'config.mounts.0.gidMappings': [idMapping],
    'config.mounts.0.recursiveReadOnly': false,
    'config.mounts.0.image': undefined,
    'config.mounts.0.imageSubPath': '',
    'config.mounts.0.mountOptions': [],
    'config.devices.0': { containerPath: '/dev/null', hostPath: '/dev/null', permissions: 'rw' },
    [`config.${namespaceOptions}.usernsOptions`]: userNamespace,
    [`config.${namespaceOptions}.network`]: 0,
    [`config.${namespaceOptions}.ipc`]: 0,
    'config.linux.securityContext.runAsUsername': '',
    'config.linux.securityContext.selinuxOptions.level': 's0',
    'config.linux.securityContext.seccomp.localhostRef': '',
    'config.linux.securityContext.seccompProfilePath': '',
    'config.linux.securityContext.apparmor.localhostRef': '',
    'config.linux.securityContext.apparmorProfile': '',
    'config.linux.securityContext.maskedPaths': ['/proc/kcore'],
    'config.linux.securityContext.readonlyPaths': ['/proc/sys'],
    'config.CDIDevices.0.name': 'vendor.com/gpu=1',
  },
  updateContainerResources: validResources('linux'),
  updatePodSandboxResources: { ...validResources('overhead'), ...validResources('resources') },
  exec: { stderr: false },
  attach: { tty: false },
  checkpointContainer: { location: '/checkpoint.tar' },
}

/** What is refused as a whole: with one of these the message is not valid, so each has its own. */
const refused: { readonly [name in MethodName]?: readonly string[] } = {
  createContainer: ['config.mounts.0.image'],
}

/** As the container's of a valid request. */
const namespaces = {
  network: 'pod',
  pid: 'pod',
  ipc: 'pod',
  user: { uids: idMapping, gids: idMapping },
} as const
const { table } = fakeRuntimeService({
  sandboxes: [sandboxRecord({ id: 'x', spec: sandboxSpec({ privileged: true, namespaces }) })],
  containers: [containerRecord({ id: 'x' })],
})

/** Serves the request to its end; a refusal is an end too. */
async function serve(name: MethodName, request: object): Promise<CriError | undefined> {
  const handle = table[name] as (request: object, call: object) => unknown
  try {
    const answer = await handle(request, fakeCall())
    if (methods[name].responseStream) await Array.fromAsync(answer as Iterable<unknown>)
    return undefined
  } catch (error) {
    if (error instanceof CriError) return error
    throw error
  }
}

/** As populated() makes it, and fit to be served but for the path that `but` keeps. */
function sample(name: MethodName, but?: string): object {
  const { requestType } = methods[name]
  const changes = Object.entries(valid[name] ?? {}).filter(([path]) => path !== but)
  return withFields(populated(requestName(name), requestType) as object, Object.fromEntries(changes))
}

function requestName(name: MethodName): string {
  return name === 'getContainerEvents' ? 'GetEventsRequest' : `${methods[name].name}Request`
}

const names = Object.keys(methods) as MethodName[]
const outcomes = new Map(
  await Promise.all(names.map(async (name) => [name, await serve(name, sample(name))] as const)),
)
const served = names.filter((name) => outcomes.get(name)?.kind !== 'unimplemented')

test('31 RPCs are served, the others are UNIMPLEMENTED by name', () => {
  expect(served).toHaveLength(31)
  for (const [name, error] of outcomes) {
    if (served.includes(name)) expect(error, name).toBeUndefined()
    else expect(error?.message).toBe(`${methods[name].name} is not implemented by this version of cri-ts`)
  }
})

test.for(served)('%s reads every field of its request', async (name) => {
  const read = new Set<string>()
  for (const but of [undefined, ...(refused[name] ?? [])]) {
    const request = recording(sample(name, but))
    const error = await serve(name, request.message)
    expect(error?.kind, but).toBe(but === undefined ? undefined : expectedKind(but))
    for (const path of request.read) read.add(path)
  }
  expect(unreadFields(populated(requestName(name), methods[name].requestType) as object, read)).toEqual([])
})

/** An image volume has no host path. */
const expectedKind = (path: string): string =>
  path.endsWith('mounts.0.image') ? 'invalid-argument' : 'unimplemented'

test('a field that nobody reads is found', () => {
  const message = { a: 'x', list: [{ b: 'x', c: 1n }], map: { '*': 'x' }, all: { d: 'x' } }
  const { message: recorded, read } = recording(message)
  recorded.list.map(({ b }) => b)
  expect(unreadFields(message, read)).toEqual(['a', 'list.c', 'map', 'all.d'])
})

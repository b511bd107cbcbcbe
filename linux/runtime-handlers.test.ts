import { expect, test } from 'vitest'
import {
  chooseDefault,
  type FoundHandler,
  findHandlers,
  handlerFeatures,
  hasCriu,
  hasSeccomp,
  problemOnHost,
} from './runtime-handlers.ts'

const handler = (name: string, problem = ''): FoundHandler => ({
  name,
  path: `/usr/bin/${name}`,
  version: `${name} 1`,
  problem,
  features: undefined,
  checkpoints: false,
  seccomp: true,
})

test('auto takes the first that can run, and says why others were passed over', () => {
  expect(chooseDefault('auto', [handler('crun', 'hybrid'), handler('runc')])).toEqual({
    name: 'runc',
    reason: 'it is the first that can run here (crun: hybrid)',
    problem: '',
  })
})

test('where none can run, the reason of each is told', () => {
  expect(chooseDefault('auto', [handler('crun', 'a'), handler('runc', 'b')]).problem).toBe('crun: a; runc: b')
})

test('a handler that is named is the default even where it cannot run', () => {
  expect(chooseDefault('crun', [handler('crun', 'hybrid'), handler('runc')])).toMatchObject({
    name: 'crun',
    problem: 'hybrid',
  })
})

test('only crun minds hybrid cgroups', () => {
  expect(problemOnHost('crun version 1.8.1', true)).toContain('hybrid')
  expect(problemOnHost('crun version 1.8.1', false)).toBe('')
  expect(problemOnHost('runc version 1.1.5', true)).toBe('')
})

test('a runtime without a features command is there all the same, one that is missing says what to do', async () => {
  const found = await findHandlers(
    { sh: { path: '/bin/sh' }, nope: { path: '/nonexistent/nope' } },
    async ({ argv }) => ({
      exitCode: argv[1] === '--version' ? 0 : 1,
      stdout: Buffer.from('sh 5\nmore'),
      stderr: '',
    }),
  )
  expect(found).toEqual([
    {
      name: 'sh',
      path: '/bin/sh',
      version: 'sh 5',
      problem: '',
      features: undefined,
      checkpoints: false,
      seccomp: true,
    },
    expect.objectContaining({ name: 'nope', problem: expect.stringContaining('runtime.handlers.nope.path') }),
  ])
})

test('features are what the runtime says of itself', () => {
  const said = {
    mountOptions: ['ro', 'rro'],
    linux: { namespaces: ['user'], mountExtensions: { idmap: { enabled: true } } },
  }
  const all = { recursiveReadonlyMounts: true, userNamespaces: true, idmapMounts: true }
  expect(handlerFeatures({ ...handler('runc'), features: said })).toMatchObject({
    ...all,
    mountOptions: ['ro', 'rro'],
  })
  expect(handlerFeatures({ ...handler('crun'), version: 'crun version 1.21', features: {} })).toMatchObject({
    recursiveReadonlyMounts: false,
    userNamespaces: false,
    idmapMounts: false,
  })
})

test.for([
  ['crun version 1.8.1', true],
  ['crun version 1.14.1', true],
  ['crun version 2.0', true],
  ['crun version 0.17', false],
  ['crun version 1.7.2', false],
  ['runsc version 0.0~20221219.0', false],
  ['', false],
] as const)('of a runtime that says nothing, its version tells: %s', ([version, knows]) => {
  expect(handlerFeatures({ ...handler('silent'), version })).toEqual({
    ...{ recursiveReadonlyMounts: knows, userNamespaces: knows, idmapMounts: knows },
    ...{ netDevices: false, rdtSchemata: false, rdtMonitoring: false },
    ...{ mountOptions: undefined, checkpoints: false, seccomp: true },
  })
})

test.for([
  ['crun says +CRIU', { stdout: 'crun version 1.28\n+SYSTEMD +CRIU +YAJL' }, true],
  ['crun does not', { stdout: 'crun version 1.8.1\n+SYSTEMD +YAJL' }, false],
] as const)('whether a runtime has CRIU: %s', ([, { stdout }, has]) => {
  expect(hasCriu(stdout, undefined)).toBe(has)
  const annotations = { 'org.opencontainers.runc.checkpoint.enabled': String(has) }
  expect(hasCriu('runc version 1.1.5', { annotations })).toBe(has)
})

test.for<[version: string, features: object | undefined, has: boolean]>([
  ['crun version 1.8.1\ncommit: f8\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +YAJL', undefined, true],
  ['crun version 1.8.1\ncommit: f8\n+SYSTEMD +CAP +YAJL', undefined, false],
  ['runc version 1.1.5\nspec: 1.0.2-dev\ngo: go1.19.8\nlibseccomp: 2.5.4', undefined, true],
  ['runc version 1.1.5\nspec: 1.0.2-dev\ngo: go1.19.8', undefined, false],
  ['runc version 1.3.0', { linux: { seccomp: { enabled: true } } }, true],
  ['crun version 1.28 +SECCOMP', { linux: { seccomp: { enabled: false } } }, false],
  ['runsc version release-20250101', undefined, true],
])('seccomp is known by features or version: %s', ([version, features, has]) => {
  expect(hasSeccomp(version, features)).toBe(has)
})

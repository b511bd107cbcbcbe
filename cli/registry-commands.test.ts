import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { adminSocket } from '#admin/client.ts'
import { registryRoutes } from '#admin/registry-routes.ts'
import { serveAdmin } from '#admin/server.ts'
import { hostRegistries } from '#image/host-registries.ts'
import { RegistryBreaker } from '#image/registry-breaker.ts'
import { makeCertificates } from '#test/integration/registry-certificates.ts'
import { cli } from './cli.ts'

let directory = ''
const at = (name: string) => join(directory, name)
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-explain-'))
  write('config.toml', [
    `state = "${directory}"`,
    '[image]',
    `registries_dir = "${at('certs.d')}"`,
    `registries_conf = "${at('registries.conf')}"`,
    `auth_file = "${at('auth.json')}"`,
    `namespaced_auth_dir = "${at('namespaced')}"`,
  ])
})
afterEach(() => rmSync(directory, { recursive: true }))

function write(name: string, lines: readonly string[]): void {
  mkdirSync(dirname(at(name)), { recursive: true })
  writeFileSync(at(name), lines.join('\n'))
}

async function explain(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await cli(['--config', at('config.toml'), 'registry', 'explain', ...args], {
    version: '1',
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    environment: {},
    serve: async () => {},
  })
  return {
    code,
    out: out.join('').replaceAll(directory, 'DIR'),
    err: err.join('').replaceAll(directory, 'DIR'),
  }
}

test('nothing configured: docker.io with nothing but the request, said by the files alone where there is no daemon', async () => {
  const { code, out, err } = await explain('busybox')
  expect(code).toBe(0)
  expect(err).toMatch(/can't be asked .*without what a daemon knows of failures/s)
  expect(out).toBe(`busybox is a short name, resolved by docker.io, as nothing is configured for short names
docker.io/library/busybox:latest
  1. https://registry-1.docker.io/v2/library/busybox/manifests/latest
     from         nothing is configured
     is           the registry itself
     asked for    tags, content
     security     TLS, its certificate signed by the system's authorities
     credentials  the request's, if it has some; else none
`)
})

test('each endpoint is told with the line that it comes from, its TLS and where its credentials are', async () => {
  const { caFile, client } = makeCertificates(directory)
  write('registries.conf', [
    '[[registry]]',
    'location = "r.x"',
    '[[registry.mirror]]',
    'location = "m.x:5000/proxy"',
    'insecure = true',
  ])
  write('certs.d/r.x/hosts.toml', [
    `ca = "${caFile}"`,
    `client = [["${client.certFile}", "${client.keyFile}"]]`,
    '[host."http://n.x"]',
    'capabilities = ["pull"]',
    '[host."http://n.x".header]',
    'Authorization = "Basic s3cret"',
  ])
  write('auth.json', [
    JSON.stringify({ auths: { 'm.x:5000/proxy': { auth: Buffer.from('u:s3cret').toString('base64') } } }),
  ])
  const { out } = await explain('r.x/team/app:v1')
  expect(out.replace(/until .*? GMT/g, 'until THEN')).toBe(`r.x/team/app:v1
  1. https://m.x:5000/v2/proxy/team/app/manifests/v1
     from         DIR/registries.conf:3 [[registry.mirror]]
     is           a mirror
     asked for    tags, content
     security     TLS, its certificate is not looked at; plain HTTP where it does not speak TLS
     credentials  DIR/auth.json, "m.x:5000/proxy"
  2. http://n.x/v2/team/app/manifests/v1?ns=r.x
     from         DIR/registries.conf:1 [[registry]] r.x, DIR/certs.d/r.x/hosts.toml:3 host."http://n.x"
     is           a mirror
     asked for    content
     security     none: plain HTTP
     headers      Authorization
     credentials  the header Authorization, as it is configured
  3. https://r.x/v2/team/app/manifests/v1
     from         DIR/registries.conf:1 [[registry]] r.x, DIR/certs.d/r.x/hosts.toml
     is           the registry itself
     asked for    tags, content
     security     TLS, its certificate signed by the system's authorities; CN=cri-ts test, until THEN; with the client certificate CN=client, until THEN
     credentials  the request's, if it has some; else none
`)
})

test('a short name is told with all that it may stand for, a blocked place with who blocks it', async () => {
  write('registries.conf', [
    'unqualified-search-registries = ["a.x", "b.x"]',
    '[[registry]]',
    'location = "a.x"',
    'blocked = true',
  ])
  const { out } = await explain('app')
  expect(out).toContain(
    'app is a short name, resolved by unqualified-search-registries in DIR/registries.conf\n',
  )
  expect(out).toContain('a.x/app:latest\n  -  a.x/app is blocked by DIR/registries.conf:2 [[registry]] a.x\n')
  expect(out).toContain('b.x/app:latest\n  1. https://b.x/v2/app/manifests/latest\n')
})

test('a mistake is named, and the exit code is 1', async () => {
  write('registries.conf', ['[[registry]]', 'locatoin = "a.x"'])
  const { code, err } = await explain('r.x/app')
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('cri-ts: DIR/registries.conf:2: locatoin is not a key here'),
  ])
})

test('what the daemon knows of failures is told, and all of it as JSON', async () => {
  write('certs.d/r.x/hosts.toml', ['[host."https://m.x"]'])
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const files = {
    registriesDir: at('certs.d'),
    registriesConf: at('registries.conf'),
    authFile: at('auth.json'),
    namespacedAuthDir: undefined,
  }
  const asked = hostRegistries(files, { ask: async () => undefined, log })
  const breaker = new RegistryBreaker({ nowNs: () => `${Date.now()}000000` })
  const [mirror] = asked.registries.routes({
    registry: 'r.x',
    repository: 'app',
    tag: 'v1',
    name: 'r.x/app',
  }).endpoints
  if (mirror === undefined) throw new Error('no mirror')
  breaker.failed(mirror, 'connection refused')
  const routes = registryRoutes({ ...asked, breaker })
  await using _server = await serveAdmin(adminSocket(directory), { routes, log })
  const { out, err } = await explain('r.x/app:v1')
  expect(err).toBe('')
  expect(out).toMatch(
    / {5}failures {5}1, the last \d+ s ago \(connection refused\): it is passed over for \d+ s more\n/,
  )
  const json: unknown = JSON.parse((await explain('r.x/app:v1', '--json')).out)
  expect(json).toMatchObject({
    reference: 'r.x/app:v1',
    images: [
      {
        endpoints: [
          { isMirror: true, breaker: { state: 'open', why: 'connection refused' } },
          { isMirror: false },
        ],
      },
    ],
  })
})

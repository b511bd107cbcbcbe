import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { hostEndpoints } from './hosts-directory.ts'

let root = ''
const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cri-ts-hosts-'))
})
afterEach(() => rm(root, { recursive: true }))

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
}
const endpoints = async (registry: string, insecure = false) =>
  hostEndpoints([join(root, 'a'), join(root, 'b')])({
    ...{ registry, repository: 'app', insecure, isMirror: false, source: '', blockedBy: '' },
  })
const hrefs = async (registry: string) => (await endpoints(registry)).map((endpoint) => endpoint.root.href)

test.for([
  ['docker.io', 'https://registry-1.docker.io/v2', false, false],
  ['r.example:5000', 'https://r.example:5000/v2', false, false],
  ['localhost', 'https://localhost/v2', false, true],
  ['localhost:5000', 'https://localhost:5000/v2', true, true],
  ['127.0.0.1:80', 'http://127.0.0.1/v2', false, false],
  ['127.8.0.1:5000', 'https://127.8.0.1:5000/v2', true, true],
  ['[::1]:5000', 'https://[::1]:5000/v2', true, true],
] as const)(
  '%s is at %s when nothing is configured',
  async ([registry, href, plainHttpFallback, skipVerify]) => {
    expect(await endpoints(registry)).toEqual([
      expect.objectContaining({
        root: expect.objectContaining({ href }),
        isMirror: false,
        plainHttpFallback,
        tls: expect.objectContaining({ skipVerify }),
      }),
    ])
  },
)

test('the directory named with underscores comes before the one with a colon, both before _default', async () => {
  await write('a/_default/hosts.toml', 'server = "https://default"')
  expect(await hrefs('r:5000')).toEqual(['https://default/v2'])
  await write('b/r:5000/hosts.toml', 'server = "https://colon"')
  expect(await hrefs('r:5000')).toEqual(['https://colon/v2'])
  await write('b/r_5000_/hosts.toml', 'server = "https://underscore"')
  expect(await hrefs('r:5000')).toEqual(['https://underscore/v2'])
})

test('a change is seen at the next call, also one of the same length in the same moment', async () => {
  const read = hostEndpoints([join(root, 'a')])
  const location = {
    registry: 'r',
    repository: 'app',
    insecure: false,
    isMirror: false,
    source: '',
    blockedBy: '',
  }
  for (const name of ['one', 'two', 'six']) {
    await write('a/r/hosts.toml', `[host."https://${name}"]`)
    expect(read(location).map(({ root }) => root.href)).toEqual([`https://${name}/v2`, 'https://r/v2'])
  }
})

test('each endpoint says where it comes from', async () => {
  await write('a/r/hosts.toml', '\nserver = "https://own"\n[host."https://m"]')
  expect((await endpoints('r')).map(({ source }) => source)).toEqual([
    `${join(root, 'a/r/hosts.toml')}:3 host."https://m"`,
    `${join(root, 'a/r/hosts.toml')}:2 server`,
  ])
  await write('a/s/ca.crt', pem)
  expect((await endpoints('s')).map(({ source }) => source)).toEqual([`${join(root, 'a/s')}/`])
  expect((await endpoints('t')).map(({ source }) => source)).toEqual([''])
})

test('an insecure registry is asked by https without verification, then by http; its mirrors are not meant', async () => {
  await write('a/r/hosts.toml', '[host."https://m"]')
  const shown = (await endpoints('r', true)).map(({ root, tls, plainHttpFallback }) => [
    ...[root.href, tls.skipVerify, plainHttpFallback],
  ])
  expect(shown).toEqual([
    ['https://m/v2', false, false],
    ['https://r/v2', true, true],
  ])
})

test('only the registry itself and its server of the same host are no mirrors', async () => {
  await write('a/docker.io/hosts.toml', 'server = "https://registry-1.docker.io"\n[host."https://m"]')
  await write('a/r/hosts.toml', 'server = "https://elsewhere"\n[host."http://r:443"]\n[host."https://r:443"]')
  const mirrors = async (registry: string) => (await endpoints(registry)).map(({ isMirror }) => isMirror)
  expect(await mirrors('docker.io')).toEqual([true, false])
  expect(await mirrors('r')).toEqual([true, false, true])
})

test('docker.io as a server or a host is the address of Docker Hub', async () => {
  await write('a/docker.io/hosts.toml', 'server = "https://docker.io"\n[host."https://index.docker.io/x"]')
  expect(await hrefs('docker.io')).toEqual([
    'https://registry-1.docker.io/x/v2',
    'https://registry-1.docker.io/v2',
  ])
})

test('certificates are read relative to the directory', async () => {
  await write('a/r/hosts.toml', '[host."https://m"]\nca = ["ca.crt"]\nclient = [["c.cert", "c.key"]]')
  await write('a/r/ca.crt', pem)
  await write('a/r/c.cert', pem)
  await write('a/r/c.key', '-----BEGIN PRIVATE KEY-----\n')
  const [mirror] = await endpoints('r')
  expect(mirror?.tls).toEqual({
    caPems: [pem],
    client: [{ certPem: pem, keyPem: '-----BEGIN PRIVATE KEY-----\n' }],
    skipVerify: false,
  })
})

test("Docker's certificate files serve where there is no hosts.toml", async () => {
  await write('a/r:5000/ca.crt', pem)
  await write('a/r:5000/client.cert', pem)
  const [own, ...others] = await endpoints('r:5000')
  expect(others).toEqual([])
  expect(own).toMatchObject({ isMirror: false, tls: { caPems: [pem], client: [{ keyPem: pem }] } })
})

test('http beside TLS settings is asked for by https first', async () => {
  await write('a/r/hosts.toml', '[host."http://m:5000"]\nskip_verify = true\n[host."http://n:5000"]')
  const [ambiguous, plain] = await endpoints('r')
  expect([ambiguous?.root.protocol, ambiguous?.plainHttpFallback]).toEqual(['https:', true])
  expect([plain?.root.protocol, plain?.plainHttpFallback]).toEqual(['http:', false])
})

test.for([
  ['ca = "absent.crt"', 'absent.crt cannot be read: ENOENT'],
  ['ca = "hosts.toml"', 'hosts.toml holds no PEM'],
  ['ca = ', 'hosts.toml:1: '],
] as const)('%s is an error that names the file: %s', async ([text, message]) => {
  await write('a/r/hosts.toml', text)
  const failure = await endpoints('r').catch((thrown: Error) => thrown)
  expect(failure).toMatchObject({ kind: 'failed-precondition' })
  expect(describeError(failure)).toContain(join(root, 'a/r/'))
  expect(describeError(failure)).toContain(message)
})

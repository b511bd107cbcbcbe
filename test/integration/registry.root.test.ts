import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RequestAuth } from '#image/auth-credentials.ts'
import { noAuth } from '#test/fakes/pull-lab.ts'
import { startRegistry } from './registry.ts'
import { certificatesOf, messageOf, registryLab, small } from './registry-lab.ts'

const login = { username: 'u', password: 's3cret' }
const user: RequestAuth = { ...noAuth, ...login }
test.for([
  ['OCI, gzip', {}],
  ['OCI, zstd', { compression: 'zstd' }],
  ['Docker, gzip', { docker: true }],
  ['OCI, plain', { compression: 'plain' }],
] as const)('an image comes over plain HTTP: %s', async ([, how]) => {
  await using lab = await registryLab()
  const image = small('hello', how)
  const { digest } = await lab.registry.push('team/app', 'v1', image)
  expect(await lab.pull('team/app:v1')).toBe(image.id)
  expect(lab.store.find(image.id)).toMatchObject({
    tags: [`${lab.registry.host}/team/app:v1`],
    digests: [`${lab.registry.host}/team/app@${digest}`],
    manifestDigest: image.manifest.digest,
  })
  expect(await lab.pull(`team/app@${digest}`)).toBe(image.id)
})

test.for([{ docker: false }, { docker: true }])(
  'of an index the image for this platform comes: %o',
  async (how) => {
    await using lab = await registryLab()
    const own = small('own', how)
    const other = small('other', { ...how, architecture: 's390x' })
    const { digest } = await lab.registry.push('app', 'latest', [other, own])
    expect(await lab.pull('app')).toBe(own.id)
    expect(lab.store.find(own.id)?.digests).toEqual([`${lab.registry.host}/app@${digest}`])
  },
)

test('what the registry does not have is not found', async () => {
  await using lab = await registryLab()
  await lab.registry.push('app', 'v1', small('x'))
  await expect(lab.pull('app:v2')).rejects.toMatchObject({ kind: 'not-found' })
  await expect(lab.pull('none:v1')).rejects.toMatchObject({ kind: 'not-found' })
})

test('a name and password open a registry over TLS; without, or with wrong ones, the call is unauthenticated', async () => {
  await using lab = await registryLab({ tls: true, htpasswd: login })
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  lab.configure(`server = "${lab.registry.url}"\nca = "${certificatesOf(lab.registry).caFile}"`)
  await expect(lab.pull('app:v1')).rejects.toMatchObject({ kind: 'unauthenticated' })
  await expect(lab.pull('app:v1', { ...user, password: 'x' })).rejects.toMatchObject({
    kind: 'unauthenticated',
  })
  expect(lab.store.list()).toEqual([])
  expect(await lab.pull('app:v1', user)).toBe(image.id)
  const auth = Buffer.from('u:s3cret').toString('base64')
  expect(await lab.pull('app:v1', { ...noAuth, auth })).toBe(image.id)
})

test('a certificate of an unknown authority is refused with the remedy; the ca, or skip_verify, is one', async () => {
  await using lab = await registryLab({ tls: true })
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  lab.configure(`server = "${lab.registry.url}"`)
  expect(await messageOf(lab.pull('app:v1'))).toContain(`as ca in ${lab.directory}/hosts.toml`)
  lab.configure(`server = "${lab.registry.url}"\nskip_verify = true`)
  expect(await lab.pull('app:v1')).toBe(image.id)
  await lab.store.remove(image.id)
  copyFileSync(certificatesOf(lab.registry).caFile, join(lab.directory, 'own.crt'))
  lab.configure(`server = "${lab.registry.url}"\nca = ["own.crt"]`)
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('a certificate for other names is refused', async () => {
  await using lab = await registryLab({ tls: true })
  const other = lab.registry.url.replace('127.0.0.1', 'localhost')
  lab.configure(`server = "${other}"\nca = "${certificatesOf(lab.registry).caFile}"`)
  expect(await messageOf(lab.pull('app:v1'))).toContain('its certificate is not for localhost')
})

test("Docker's certificate files serve as well as hosts.toml", async () => {
  await using lab = await registryLab({ tls: true })
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  copyFileSync(certificatesOf(lab.registry).caFile, join(lab.directory, 'ca.crt'))
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('a local registry on a port of its own needs no configuration, with or without TLS', async () => {
  await using lab = await registryLab({ tls: true })
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('a registry that wants a client certificate gets it, and its absence is said', async () => {
  await using lab = await registryLab({ tls: true, clientCertificates: true })
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  const { caFile, client } = certificatesOf(lab.registry)
  const trusting = `server = "${lab.registry.url}"\nca = "${caFile}"`
  lab.configure(trusting)
  expect(await messageOf(lab.pull('app:v1'))).toContain(`name it as client in ${lab.directory}/hosts.toml`)
  lab.configure(`${trusting}\nclient = [["${client.certFile}", "${client.keyFile}"]]`)
  expect(await lab.pull('app:v1')).toBe(image.id)
  await lab.store.remove(image.id)
  const both = join(lab.directory, 'both.pem')
  writeFileSync(both, [client.certFile, client.keyFile].map((file) => readFileSync(file, 'utf8')).join(''))
  lab.configure(`${trusting}\nclient = "both.pem"`)
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('TLS is not spoken to a registry that does not speak it, and the remedy is said', async () => {
  await using lab = await registryLab()
  lab.configure(`server = "https://${lab.registry.host}"`)
  expect(await messageOf(lab.pull('app:v1'))).toContain(
    `for plain HTTP write server = "http://${lab.registry.host}"`,
  )
})

test('a mirror serves a registry that nobody reaches', async () => {
  await using mirrored = await startRegistry()
  await using lab = await registryLab()
  const image = small('x')
  await mirrored.push('app', 'v1', image)
  lab.configure(`server = "http://127.0.0.1:1"\n[host."${mirrored.url}"]`)
  expect(await lab.pull('app:v1')).toBe(image.id)
  expect(await messageOf(lab.pull('app:v2'))).toContain(
    `${mirrored.url}/v2/app/manifests/v2: 404 not found; http://127.0.0.1:1/v2/app/manifests/v2: connection refused`,
  )
})

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Credentials } from '#image/auth-credentials.ts'
import { noAuth } from '#test/fakes/pull-lab.ts'
import { startRegistry } from './registry.ts'
import { certificatesOf, messageOf, registryLab, small } from './registry-lab.ts'

const login = { username: 'u', password: 's3cret' }
const tokens = { ...login, refreshToken: 'r3fresh' }
const entry = (password: string) => ({ auth: Buffer.from(`u:${password}`).toString('base64') })

/** A registry over TLS that wants tokens, whose authority is known, with an image. */
async function tokenLab() {
  const lab = await registryLab({ tls: true, tokens })
  const image = small('x')
  await lab.registry.push('team/app', 'v1', image)
  lab.configure(`server = "${lab.registry.url}"\nca = "${certificatesOf(lab.registry).caFile}"`)
  return { ...lab, image, asked: lab.registry.tokenServer?.requests ?? [] }
}

test('a registry with token authorization: a token is got with the name and password, once for the whole pull', async () => {
  await using lab = await tokenLab()
  expect(await lab.pull('team/app:v1', { ...noAuth, ...login })).toBe(lab.image.id)
  expect(lab.asked).toEqual(['GET basic repository:team/app:pull'])
})

test('it is got with an identity token as well, and refused without credentials or with wrong ones', async () => {
  await using lab = await tokenLab()
  await expect(lab.pull('team/app:v1')).rejects.toMatchObject({ kind: 'unauthenticated' })
  const wrong = lab.pull('team/app:v1', { ...noAuth, ...login, password: 'wr0ng' })
  await expect(wrong).rejects.toMatchObject({ kind: 'unauthenticated' })
  await expect(wrong).rejects.not.toThrow('wr0ng')
  expect(await lab.pull('team/app:v1', { ...noAuth, identityToken: 'r3fresh' })).toBe(lab.image.id)
  expect(lab.asked.at(-1)).toBe('POST refresh repository:team/app:pull')
})

test('a token that the request gives is sent as it is', async () => {
  await using lab = await tokenLab()
  const pullWith = (registryToken: string) => lab.pull('team/app:v1', { ...noAuth, registryToken })
  const issue = (scope: string) => lab.registry.tokenServer?.issue(scope) ?? ''
  await expect(pullWith('forged')).rejects.toThrow('the registry token was refused')
  await expect(pullWith(issue('repository:other:pull'))).rejects.toThrow('the registry token was refused')
  expect(await pullWith(issue('repository:team/app:pull'))).toBe(lab.image.id)
  expect(lab.asked).toEqual([])
})

test('auth.json and a credential helper open it, too', async () => {
  const ask = async (name: string): Promise<Credentials> => ({
    kind: 'basic',
    username: name,
    password: 's3cret',
  })
  await using lab = await registryLab({ tls: true, htpasswd: login }, ask)
  const image = small('x')
  await lab.registry.push('app', 'v1', image)
  const auths = (content: object) => lab.write('auth.json', JSON.stringify(content))
  auths({ auths: { [lab.registry.host]: entry('wr0ng') } })
  expect(await messageOf(lab.pull('app:v1'))).toMatch(
    /401 not authorized \(with the credentials of .*auth.json, "127/,
  )
  auths({ auths: { [`${lab.registry.host}/app`]: entry('s3cret'), [lab.registry.host]: entry('wr0ng') } })
  expect(await lab.pull('app:v1')).toBe(image.id)
  auths({ auths: { [lab.registry.host]: entry('wr0ng') }, credHelpers: { [lab.registry.host]: 'u' } })
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('registries.conf leads to a mirror with TLS of its own, then to an insecure one, under the name that was asked for', async () => {
  await using mirror = await startRegistry({ tls: true, htpasswd: login })
  await using lab = await registryLab({ tls: true })
  const image = small('x')
  await mirror.push('proxy/app', 'v1', image)
  lab.write('auth.json', JSON.stringify({ auths: { [`${mirror.host}/proxy`]: entry('s3cret') } }))
  lab.write(
    'registries.conf',
    [
      '[[registry]]',
      'prefix = "nowhere.example/team"',
      'location = "127.0.0.1:1/team"',
      '[[registry.mirror]]',
      `location = "${mirror.host}/proxy"`,
      'insecure = true',
    ].join('\n'),
  )
  expect(await lab.pullByName('nowhere.example/team/app:v1')).toBe(image.id)
  expect(lab.store.find(image.id)?.tags).toEqual(['nowhere.example/team/app:v1'])
})

test('a storage that blobs are redirected to gets no credentials', async () => {
  const data = mkdtempSync(join(tmpdir(), 'cri-ts-redirect-'))
  const seen: (string | undefined)[] = []
  const storage = createServer((request, response) => {
    seen.push(request.headers.authorization)
    const { pathname } = new URL(request.url ?? '', 'http://x')
    response.end(readFileSync(join(data, pathname)))
  })
  await new Promise<void>((resolve) => storage.listen(0, '127.0.0.1', resolve))
  try {
    const blobsAt = `http://localhost:${(storage.address() as AddressInfo).port}/`
    await using lab = await registryLab({ htpasswd: login, data, blobsAt })
    const image = small('x')
    await lab.registry.push('app', 'v1', image)
    expect(await lab.pull('app:v1', { ...noAuth, ...login })).toBe(image.id)
    expect(new Set(seen)).toEqual(new Set([undefined]))
    expect(seen.length).toBeGreaterThanOrEqual(3)
  } finally {
    storage.close()
    rmSync(data, { recursive: true })
  }
})

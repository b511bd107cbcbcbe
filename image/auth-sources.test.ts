import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { registriesIn } from '#test/fakes/pull-lab.ts'
import type { Credentials } from './auth-credentials.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

const never = new AbortController().signal
let directory = ''
let asked: string[] = []
/** A helper that has credentials of r.x alone. */
const ask = async (name: string, server: string): Promise<Credentials | undefined> => {
  asked.push(`${name} ${server}`)
  return server === 'r.x' ? { kind: 'basic', username: name, password: 'p' } : undefined
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-auth-'))
  mkdirSync(join(directory, 'namespaced'))
  asked = []
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (name: string, content: object | string) =>
  writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
const entry = (username: string) => ({ auth: Buffer.from(`${username}:p`).toString('base64') })
const endpoint = (root: string) =>
  ({ root: new URL(root), repository: 'team/app' }) as unknown as RegistryEndpoint
const r = endpoint('https://r.x/v2')
const hub = endpoint('https://registry-1.docker.io/v2')
/** What CRI-O's credential provider writes: by the image's name without its tag. */
const provided = (namespace: string, image: string) =>
  `namespaced/${namespace}-${createHash('sha256').update(image).digest('hex')}.json`

const sources = () => registriesIn(directory, ask).auths
async function userFor(of: RegistryEndpoint, namespace = 'default') {
  const found = await sources().open('r.x/team/app', namespace).find(of, never)
  return found === undefined
    ? undefined
    : [(found.credentials as { username?: string }).username, found.source]
}

test("a file of the pod's namespace goes before the auth file, for one pull: it is removed once it is read", async () => {
  write('auth.json', { auths: { 'r.x': entry('global') } })
  const file = provided('default', 'r.x/team/app')
  write(file, { auths: { 'r.x': entry('own') } })
  expect(sources().describe(r, 'r.x/team/app', 'default')).toEqual([`${join(directory, file)}, "r.x"`])
  expect(await userFor(r, 'other')).toEqual(['global', `${join(directory, 'auth.json')}, "r.x"`])
  expect(await userFor(r)).toEqual(['own', `${join(directory, file)}, "r.x"`])
  expect(existsSync(join(directory, file))).toBe(false)
  expect(await userFor(r)).toEqual(['global', `${join(directory, 'auth.json')}, "r.x"`])
})

test('the name of the file is the one that CRI-O gives it', () => {
  expect(provided('default', 'quay.io/crio/fedora-crio-ci')).toBe(
    'namespaced/default-7aa25047c59c6c2e20b839f5b9820e3702dade4a97154d4df1f5cd1a9b44cfde.json',
  )
})

test('pulls with other credentials of their own are told apart', () => {
  const keyWith = (user: string) => {
    write(provided('default', 'r.x/team/app'), { auths: { 'r.x': entry(user) } })
    return sources().open('r.x/team/app', 'default').key
  }
  expect(keyWith('a')).toBe(keyWith('a'))
  expect(keyWith('a')).not.toBe(keyWith('b'))
  expect(sources().open('r.x/team/app', 'default').key).toBe('')
})

test.for(['../default', 'a/b', '', '..'])('"%s" is no namespace that a file could be of', (namespace) => {
  write('auth.json', { auths: { 'r.x': entry('global') } })
  expect(sources().open('r.x/team/app', namespace).key).toBe('')
})

test("a registry's helper goes before the entries of its file, the helper of all others behind them", async () => {
  write('auth.json', { auths: { 'r.x': entry('file') }, credHelpers: { 'r.x': 'one' }, credsStore: 'all' })
  expect(await userFor(r)).toEqual([
    'one',
    `docker-credential-one, by credHelpers in ${join(directory, 'auth.json')}`,
  ])
  write('auth.json', { auths: { 'r.x': entry('file') }, credsStore: 'all' })
  expect((await userFor(r))?.[0]).toBe('file')
  write('auth.json', { auths: { 'r.x': {} }, credsStore: 'all' })
  expect((await userFor(r))?.[0]).toBe('all')
  expect(await userFor(hub)).toBeUndefined()
  expect(asked).toEqual(['one r.x', 'all r.x', 'all https://index.docker.io/v1/'])
})

test('a helper is asked for a registry as its key is written', async () => {
  write('auth.json', { credHelpers: { 'https://index.docker.io/v1/': 'hub' } })
  await userFor(hub)
  expect(asked).toEqual(['hub https://index.docker.io/v1/'])
})

test('registries.conf says in which order helpers and files are asked', async () => {
  write('auth.json', { auths: { 'r.x': entry('file') } })
  write('registries.conf', 'credential-helpers = ["first", "containers-auth.json"]')
  expect((await userFor(r))?.[0]).toBe('first')
  expect(sources().describe(r, 'r.x/team/app', '')).toEqual([
    'docker-credential-first, by credential-helpers in registries.conf',
    `${join(directory, 'auth.json')}, "r.x"`,
  ])
  write('registries.conf', 'credential-helpers = ["containers-auth.json", "second"]')
  expect((await userFor(r))?.[0]).toBe('file')
  write('registries.conf', 'credential-helpers = ["second"]')
  expect(await userFor(hub)).toBeUndefined()
  expect(asked).toEqual(['first r.x', 'second docker.io'])
})

test('a change of the auth file is seen at the next call, a mistake is told and named', async () => {
  const { open } = sources()
  const find = () => open('r.x/team/app', '').find(r, never)
  expect(await find()).toBeUndefined()
  write('auth.json', { auths: { 'r.x': entry('u') } })
  expect(await find()).toMatchObject({ credentials: { username: 'u' } })
  write('auth.json', '{')
  await expect(find()).rejects.toThrow(`${join(directory, 'auth.json')}:1: it is not JSON`)
})

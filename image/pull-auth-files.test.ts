import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FakeRegistry } from '#test/fakes/fake-registry.ts'
import { noAuth, type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const entry = (username: string, password: string) => ({
  auth: Buffer.from(`${username}:${password}`).toString('base64'),
})
const keep = (auths: object, file = 'auth.json') =>
  writeFileSync(join(lab.configDir, file), JSON.stringify({ auths }))
const wants = (username: string, password: string) => ({ kind: 'basic', username, password }) as const
const usersAt = ({ requests }: FakeRegistry) => {
  const sent = requests.flatMap(({ headers }) => headers.authorization ?? [])
  return [...new Set(sent)].map((header) => Buffer.from(header.slice('Basic '.length), 'base64').toString())
}

test('each endpoint gets those that auth.json has for its own host, and no others', async () => {
  await lab.configureMirror()
  lab.mirror.auth = wants('m', 'm-s3cret')
  lab.registry.auth = wants('r', 'r-s3cret')
  keep({ [lab.mirror.host]: entry('m', 'm-s3cret'), [lab.registry.host]: entry('r', 'r-s3cret') })
  const image = lab.registry.addImage('a', 'v1')
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect([usersAt(lab.mirror), usersAt(lab.registry)]).toEqual([['m:m-s3cret'], ['r:r-s3cret']])
})

test('nobody who does not ask for them is told, and no helper is run', async () => {
  keep({ [lab.registry.host]: entry('r', 's3cret') })
  lab.registry.addImage('a', 'v1')
  await lab.pull('a:v1')
  expect(usersAt(lab.registry)).toEqual([])
})

test("the request's go before them, at the registry that they are for; a mirror gets its own", async () => {
  await lab.configureMirror()
  lab.registry.auth = wants('u', 's3cret')
  lab.mirror.auth = wants('m', 'm-s3cret')
  keep({ [lab.mirror.host]: entry('m', 'm-s3cret'), [lab.registry.host]: entry('r', 'other') })
  const image = lab.registry.addImage('a', 'v1')
  expect(await lab.pull('a:v1', user)).toBe(image.id)
  expect([usersAt(lab.mirror), usersAt(lab.registry)]).toEqual([['m:m-s3cret'], ['u:s3cret']])
})

test("those of the pod's namespace go before the others, and with an identity token and a registry token as well", async () => {
  mkdirSync(join(lab.configDir, 'namespaced'))
  const name = createHash('sha256').update(`${lab.registry.host}/a`).digest('hex')
  lab.registry.auth = {
    kind: 'bearer',
    grant: ({ body }) => (/refresh_token=r3fresh/.test(body) ? 'tok' : undefined),
  }
  lab.registry.accept('given')
  const image = lab.registry.addImage('a', 'v1')
  const pull = async (own: object) => {
    keep({ [lab.registry.host]: own }, `namespaced/default-${name}.json`)
    const options = { namespace: 'default' }
    return lab.puller.pull(`${lab.registry.host}/a:v1`, noAuth, new AbortController().signal, options)
  }
  expect(await pull({ identitytoken: 'r3fresh' })).toBe(image.id)
  expect(await pull({ registrytoken: 'given' })).toBe(image.id)
})

test('a refusal says whose credentials were refused, never what they are', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.auth = wants('r', 'right')
  keep({ [lab.registry.host]: entry('r', 'wr0ng') })
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('unauthenticated')
  expect(message).toContain(
    `(with the credentials of ${join(lab.configDir, 'auth.json')}, "${lab.registry.host}")`,
  )
  expect(message).not.toContain('wr0ng')
  keep({})
  expect((await lab.failureOf('a:v1')).message).toContain('neither the request nor an auth file of this host')
})

test('a mistake in the auth file fails the pull by name, once credentials are needed', async () => {
  const image = lab.registry.addImage('a', 'v1')
  writeFileSync(join(lab.configDir, 'auth.json'), '{"auths": {"x": s3cret')
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.registry.auth = wants('r', 'right')
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('failed-precondition')
  expect(message).toMatch(/\/auth\.json(?::1)?: it is not JSON$/)
})

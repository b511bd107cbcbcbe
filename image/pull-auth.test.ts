import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SeenRequest } from '#test/fakes/fake-registry.ts'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { noAuth, type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const basic = { kind: 'basic', username: 'u', password: 's3cret' } as const
const base64 = (text: string) => Buffer.from(text).toString('base64')
const bearer = (grant: (request: SeenRequest) => string | undefined) => ({ kind: 'bearer', grant }) as const

test('Basic: the credentials are sent once they are asked for, and with every request after', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.auth = basic
  expect(await lab.pull('a:v1', user)).toBe(image.id)
  const sent = lab.registry.requests.map(({ headers }) => headers.authorization)
  expect(sent[0]).toBeUndefined()
  expect(new Set(sent.slice(1))).toEqual(new Set([`Basic ${base64('u:s3cret')}`]))
})

test.for([
  ['none', undefined, 'asks for a user name and password'],
  ['wrong ones', { ...user, password: 'wr0ng' }, '401 not authorized (with the credentials of the request)'],
  ['an identity token', { ...noAuth, identityToken: 'wr0ng' }, 'asks for a user name and password'],
] as const)('Basic with %s: unauthenticated, and no secret in the error', async ([, auth, why]) => {
  lab.registry.addImage('a', 'v1')
  lab.registry.auth = basic
  const { kind, message } = await lab.failureOf('a:v1', auth)
  expect(kind).toBe('unauthenticated')
  expect(message).toContain(why)
  expect(message).not.toContain('wr0ng')
})

test('Bearer: one anonymous token serves the whole pull', async () => {
  const image = lab.registry.addImage('team/a', 'v1', { layers: ['1', '2', '3'] })
  lab.registry.auth = bearer(() => 'tok')
  expect(await lab.pull('team/a:v1')).toBe(image.id)
  const [token, ...more] = lab.gets(/^\/token/)
  expect(more).toEqual([])
  expect(token?.target).toBe('/token?service=fake&scope=repository%3Ateam%2Fa%3Apull')
  expect(token?.headers.authorization).toBeUndefined()
})

test('Bearer: the user goes to the token server, and to nobody else', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.auth = bearer(({ headers }) =>
    headers.authorization === `Basic ${base64('u:s3cret')}` ? 'tok' : undefined,
  )
  expect(await lab.pull('a:v1', user)).toBe(image.id)
  const others = lab.registry.requests.filter(({ target }) => !target.startsWith('/token'))
  expect(others.filter(({ headers }) => headers.authorization?.startsWith('Basic'))).toEqual([])
  const { kind, message } = await lab.failureOf('a:v1', { ...user, password: 'wr0ng' })
  expect(kind).toBe('unauthenticated')
  expect(message).toContain('/token: 401 not authorized (DENIED wrong credentials)')
  expect(message).not.toContain('wr0ng')
})

test('Bearer: an identity token is exchanged by POST', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.auth = bearer(({ method, body }) => {
    const form = new URLSearchParams(body)
    const asked = form.get('grant_type') === 'refresh_token' && form.get('scope') === 'repository:a:pull'
    return method === 'POST' && asked && form.get('refresh_token') === 'r3fresh' ? 'tok' : undefined
  })
  expect(await lab.pull('a:v1', { ...noAuth, identityToken: 'r3fresh' })).toBe(image.id)
})

test('a registry token is sent at once, and not exchanged', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.auth = bearer(() => undefined)
  lab.registry.accept('given')
  expect(await lab.pull('a:v1', { ...noAuth, registryToken: 'given' })).toBe(image.id)
  expect(lab.gets(/^\/token/)).toEqual([])
  const { kind, message } = await lab.failureOf('a:v1', { ...noAuth, registryToken: 'other' })
  expect([kind, message]).toEqual([
    'unauthenticated',
    expect.stringContaining('the registry token was refused'),
  ])
})

test('Bearer: a token whose time is over is got anew', async () => {
  const image = lab.registry.addImage('a', 'v1')
  let granted = 0
  lab.registry.auth = bearer(() => `tok${++granted}`)
  lab.registry.misbehave(/blobs/, (_response, answer) => {
    lab.registry.forgetTokens()
    answer()
  })
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(granted).toBe(2)
})

test.for([
  ['an answer without a token', answerWith(200, {}, '{}'), 'holds no token'],
  ['a token with a line break', answerWith(200, {}, '{"token":"a\\nb"}'), 'holds no token'],
  ['a token server that fails', answerWith(500), '500 internal error'],
] as const)('Bearer: %s is an error, with no more than its own retries', async ([, behaviour, why]) => {
  lab.registry.addImage('a', 'v1')
  lab.registry.auth = bearer(() => 'tok')
  lab.registry.misbehave(/^GET .token/, behaviour, 99)
  expect((await lab.failureOf('a:v1')).message).toContain(why)
  expect(lab.gets(/^\/token/).length).toBeLessThanOrEqual(3)
})

test('an unknown scheme is named', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/^HEAD/, answerWith(401, { 'www-authenticate': 'Negotiate' }))
  expect((await lab.failureOf('a:v1')).message).toContain(
    'authorization by negotiate: only Basic and Bearer are known',
  )
})

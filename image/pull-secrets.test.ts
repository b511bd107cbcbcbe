import { afterEach, beforeEach, expect, test } from 'vitest'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { noAuth, type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const says = (status: number, message: string) =>
  answerWith(status, {}, JSON.stringify({ errors: [{ code: 'ODD', message }] }))
const sent = Buffer.from('u:s3cret').toString('base64')

test.for(['s3cret', `Basic ${sent}`])(
  '"%s" is shown by no error, though the registry repeats it',
  async (echo) => {
    lab.registry.addImage('a', 'v1')
    lab.registry.auth = { kind: 'basic', username: 'u', password: 's3cret' }
    lab.registry.misbehave(/^HEAD/, answerWith(401, { 'www-authenticate': 'Basic realm="x"' }))
    lab.registry.misbehave(/^HEAD/, answerWith(405))
    lab.registry.misbehave(/^GET/, says(400, `no ${echo} here`))
    const { message } = await lab.failureOf('a:v1', user)
    expect(message).toMatch(/400 unexpected \(ODD no (Basic )?\[redacted\] here\)/)
    expect(message).not.toMatch(/s3cret|dTpz/)
  },
)

test('nor is a password with signs that a URL writes in another way, where it is redirected to', async () => {
  lab.registry.auth = { kind: 'basic', username: 'u', password: 'p w/d?' }
  const location = `http://127.0.0.1:1/${encodeURIComponent('p w/d?')}/p%20w/d?`
  lab.registry.misbehave(/^HEAD/, answerWith(401, { 'www-authenticate': 'Basic realm="x"' }))
  lab.registry.misbehave(/^HEAD/, answerWith(307, { location }))
  const { message } = await lab.failureOf('a:v1', { ...user, password: 'p w/d?' })
  expect(message).toContain('http://127.0.0.1:1/[redacted]/')
  expect(message).not.toContain('p%20w%2Fd')
})

test('nor are tokens: of the request, of the token server, of the configuration', async () => {
  lab.registry.auth = { kind: 'bearer', grant: () => 'acc3ss' }
  lab.registry.misbehave(/^HEAD/, answerWith(405))
  lab.registry.misbehave(/manifests/, says(400, 'Bearer g1ven'))
  const given = await lab.failureOf('a:v1', { ...noAuth, registryToken: 'g1ven' })
  expect(given.message).toContain('(ODD Bearer [redacted])')

  lab.registry.misbehave(/token/, says(403, 'token r3fresh'))
  const exchanged = await lab.failureOf('a:v1', { ...noAuth, identityToken: 'r3fresh' })
  expect(exchanged.message).toContain('(ODD token [redacted])')

  await lab.configureMirror(`server = "http://${lab.registry.host}"\n[header]\nx-api-key = ["k3y-of-ours"]`)
  lab.registry.misbehave(/token/, says(403, 'x-api-key: k3y-of-ours'))
  expect((await lab.failureOf('a:v1')).message).toContain('(ODD x-api-key: [redacted])')
})

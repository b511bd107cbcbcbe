import { afterEach, beforeEach, expect, test } from 'vitest'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

test('are followed, but neither credentials nor headers of the configuration go to another host', async () => {
  await lab.configureMirror(`server = "http://${lab.registry.host}"\n[header]\nx-secret = "s3cret"`)
  const image = lab.registry.addImage('a', 'v1')
  lab.mirror.addImage('a', 'v1')
  lab.registry.auth = { kind: 'basic', username: 'u', password: 's3cret' }
  lab.registry.misbehave(
    /GET .*blobs/,
    (response) => {
      response.writeHead(307, { location: `http://${lab.mirror.host}/v2/a/blobs/${image.id}?signature=x` })
      response.end()
    },
    1,
  )
  expect(await lab.pull('a:v1', user)).toBe(image.id)
  expect(lab.mirror.requests).toHaveLength(1)
  expect(lab.mirror.requests[0]?.headers.authorization).toBeUndefined()
  expect(lab.mirror.requests[0]?.headers['x-secret']).toBeUndefined()
  expect(lab.registry.requests[0]?.headers['x-secret']).toBe('s3cret')
})

test('a host that was redirected to gets no answer to its challenge, and its query is not shown', async () => {
  lab.registry.addImage('a', 'v1')
  lab.mirror.auth = { kind: 'basic', username: 'u', password: 's3cret' }
  lab.registry.misbehave(
    /^HEAD/,
    answerWith(302, { location: `http://${lab.mirror.host}/v2/a/manifests/v1?sig=s3cret` }),
  )
  const { kind, message } = await lab.failureOf('a:v1', user)
  expect(kind).toBe('unauthenticated')
  expect(message).toContain(`http://${lab.mirror.host}/v2/a/manifests/v1: 401`)
  expect(message).not.toContain('s3cret')
  expect(lab.mirror.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
})

test.for([
  ['for ever', '/v2/a/manifests/v1', 'redirected more than 10 times'],
  ['to another scheme', 'file:///etc/passwd', 'redirects to what is no http or https URL'],
] as const)('%s end in an error', async ([, location, why]) => {
  lab.registry.misbehave(/manifests/, answerWith(301, { location }), 99)
  expect((await lab.failureOf('a:v1')).message).toContain(why)
})

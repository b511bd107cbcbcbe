import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf, FakeRegistry } from '#test/fakes/fake-registry.ts'
import { answerWith, breakOff, hangUp } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

test('are asked first and told the registry; the registry is not asked for what they have', async () => {
  await lab.configureMirror()
  const image = lab.mirror.addImage('a', 'v1')
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.registry.requests).toEqual([])
  expect(lab.seen(lab.mirror)[0]).toBe(`HEAD /v2/a/manifests/v1?ns=${encodeURIComponent(lab.registry.host)}`)
  expect(lab.store.find(image.id)?.tags).toEqual([`${lab.registry.host}/a:v1`])
})

test('that may not resolve are asked by digest only', async () => {
  await lab.configureMirror(`[host."http://${lab.mirror.host}"]\ncapabilities = ["pull"]`)
  const image = lab.registry.addImage('a', 'v1')
  lab.mirror.addImage('a', 'v1')
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.seen()).toEqual(['HEAD /v2/a/manifests/v1'])
  expect(lab.gets(/manifests.v1/, lab.mirror)).toEqual([])
})

test('that lack, damage or refuse something are passed over for it', async () => {
  await lab.configureMirror()
  const image = lab.registry.addImage('a', 'v1')
  lab.mirror.addImage('a', 'v1')
  lab.mirror.misbehave(/GET .*manifests/, answerWith(200, {}, '{}'), 9)
  lab.mirror.misbehave(/GET .*blobs/, answerWith(403), 1)
  expect(await lab.pull('a:v1')).toBe(image.id)
})

test('that do not answer are asked once a pull', async () => {
  await lab.configureMirror()
  const image = lab.registry.addImage('a', 'v1', { layers: ['1', '2', '3'] })
  lab.mirror.misbehave(/./, hangUp, 99)
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.mirror.requests).toHaveLength(3)
})

test('a layer goes on at the next endpoint when a mirror breaks off', async () => {
  await lab.configureMirror()
  const image = lab.mirror.addImage('a', 'v1')
  lab.registry.addImage('a', 'v1')
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  const path = new RegExp(`GET .*blobs/${digestOf(blob)}`)
  lab.mirror.misbehave(path, breakOff(blob, 5))
  lab.mirror.misbehave(path, answerWith(404))
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.gets(/blobs/).map(({ headers }) => headers.range)).toEqual(['bytes=5-'])
})

test("do not get the registry's credentials, and the error says so", async () => {
  await lab.configureMirror()
  lab.registry.auth = { kind: 'basic', username: 'u', password: 's3cret' }
  lab.mirror.auth = lab.registry.auth
  const { kind, message } = await lab.failureOf('a:v1', user)
  expect(kind).toBe('not-found')
  expect(message).toContain(
    `http://${lab.mirror.host}/v2: it asks for a user name and password (the credentials are for ${lab.registry.host}`,
  )
  expect(message).toContain('404 not found')
  expect(lab.mirror.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
})

test('get the credentials whose server address names them, and then nobody else does', async () => {
  await lab.configureMirror()
  const image = lab.registry.addImage('a', 'v1')
  lab.mirror.addImage('a', 'v1')
  lab.mirror.auth = { kind: 'basic', username: 'u', password: 's3cret' }
  expect(await lab.pull('a:v1', { ...user, serverAddress: `https://${lab.mirror.host}/v2/` })).toBe(image.id)
  expect(lab.registry.requests).toEqual([])
  lab.registry.auth = lab.mirror.auth
  lab.mirror.misbehave(/./, answerWith(404), 99)
  expect((await lab.failureOf('a:v1', { ...user, serverAddress: lab.mirror.host })).kind).toBe(
    'unauthenticated',
  )
  expect(lab.registry.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
})

test('a file without an endpoint that may resolve is named', async () => {
  await lab.configureMirror(`capabilities = ["pull"]`)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('failed-precondition')
  expect(message).toContain(join(lab.configDir, lab.registry.host, 'hosts.toml'))
})

test('an endpoint where nothing listens is named with the others', async () => {
  const gone = await FakeRegistry.start()
  const { host } = gone
  await gone[Symbol.asyncDispose]()
  await lab.configureMirror(`[host."http://${host}"]`)
  const { message } = await lab.failureOf('a:v1')
  expect(message).toContain(`http://${host}/v2/a/manifests/v1: connection refused`)
  expect(message).toContain(`${lab.registry.host}/v2/a/manifests/v1: 404`)
})

test('an endpoint with a proxy is asked through it, and through it alone', async () => {
  const image = lab.registry.addImage('a', 'v1')
  // A proxy for plain HTTP is asked for whole URLs.
  const seen: string[] = []
  const proxy = createServer((request, response) => {
    seen.push(`${request.headers['proxy-authorization']} ${request.url}`)
    const { pathname } = new URL(request.url ?? '')
    forward(
      { host: '127.0.0.1', port: lab.registry.host.split(':')[1], path: pathname, method: request.method },
      (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      },
    ).end()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = proxy.address() as AddressInfo
    await lab.configureMirror(`server = "http://registry.invalid"\nproxy = "http://u:p@127.0.0.1:${port}"`)
    expect(await lab.pull('a:v1')).toBe(image.id)
    expect(seen[0]).toBe(
      `Basic dTpw http://registry.invalid/v2/a/manifests/v1?ns=${encodeURIComponent(lab.registry.host)}`,
    )
  } finally {
    proxy.close()
    proxy.closeAllConnections()
  }
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { answerWith, hangUp } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'
import { findImage } from './find-image.ts'
import { createRegistries } from './registries.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const never = new AbortController().signal
const confFile = () => join(lab.configDir, 'registries.conf')
const configure = (text: string) => writeFileSync(confFile(), text)
const pullShort = (name: string, auth = user) => lab.puller.pull(name, auth, never)
const messageOf = (pull: Promise<string>) => pull.catch((thrown: unknown) => describeError(thrown))

describe('registries.conf', () => {
  const mirrored = (more = '') => `
[[registry]]
location = "${lab.registry.host}"
${more}
[[registry.mirror]]
location = "${lab.mirror.host}/proxy"
`

  test('a mirror is asked for its own repository, is not told of another registry, and the image keeps its name', async () => {
    configure(mirrored())
    const image = lab.mirror.addImage('proxy/a', 'v1')
    expect(await lab.pull('a:v1')).toBe(image.id)
    expect(lab.registry.requests).toEqual([])
    expect(lab.seen(lab.mirror)[0]).toBe('HEAD /v2/proxy/a/manifests/v1')
    expect(lab.store.find(image.id)?.tags).toEqual([`${lab.registry.host}/a:v1`])
  })

  test('the registry itself is asked for what the mirror has not, and named with it where both have not', async () => {
    configure(mirrored())
    const image = lab.registry.addImage('a', 'v1')
    expect(await lab.pull('a:v1')).toBe(image.id)
    const { message } = await lab.failureOf('b:v1')
    expect(message).toContain(`${lab.mirror.host}/v2/proxy/b/manifests/v1: 404`)
    expect(message).toContain(`${lab.registry.host}/v2/b/manifests/v1: 404`)
  })

  test('the credentials of the registry are not sent to its mirror', async () => {
    configure(mirrored())
    lab.mirror.auth = { kind: 'basic', username: 'u', password: 's3cret' }
    lab.registry.auth = lab.mirror.auth
    const image = lab.registry.addImage('a', 'v1')
    expect(await lab.pull('a:v1', user)).toBe(image.id)
    expect(lab.mirror.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  })

  test('a blocked registry is not asked, its mirror is; without one that has it the line that blocks it is named', async () => {
    configure(mirrored('blocked = true'))
    lab.registry.addImage('a', 'v1')
    const { kind, message } = await lab.failureOf('a:v1')
    expect(kind).toBe('not-found')
    expect(message).toContain(`${lab.registry.host}/a is blocked by ${confFile()}:2 [[registry]]`)
    expect(lab.registry.requests).toEqual([])
    const image = lab.mirror.addImage('proxy/a', 'v1')
    expect(await lab.pull('a:v1')).toBe(image.id)
    configure(`[[registry]]\nlocation = "${lab.registry.host}"\nblocked = true`)
    expect((await lab.failureOf('a:v1')).kind).toBe('failed-precondition')
  })

  test('a mistake in the file fails the pull and is named; the next pull reads it anew', async () => {
    configure('[[registry]]\nlocatoin = "x"')
    const image = lab.registry.addImage('a', 'v1')
    expect(await lab.failureOf('a:v1')).toEqual({
      kind: 'failed-precondition',
      message: `${confFile()}:2: locatoin is not a key here: is location meant?`,
    })
    configure('')
    expect(await lab.pull('a:v1')).toBe(image.id)
  })

  test('its mirrors are reached as their own hosts.toml says', async () => {
    configure(mirrored())
    await lab.configureMirror(`[host."http://${lab.mirror.host}"]\ncapabilities = ["pull"]`)
    const image = lab.registry.addImage('a', 'v1')
    expect(await lab.pull('a:v1')).toBe(image.id)
    expect(lab.seen(lab.mirror)).toContain(
      `GET /v2/a/manifests/${image.manifestDigest}?ns=${encodeURIComponent(lab.registry.host)}`,
    )
  })
})

describe('a short name', () => {
  test('is pulled from the first registry that has it, and found by it', async () => {
    configure(`unqualified-search-registries = ["${lab.mirror.host}", "${lab.registry.host}"]`)
    const image = lab.registry.addImage('a', 'v1')
    expect(await pullShort('a:v1')).toBe(image.id)
    expect(lab.store.find(image.id)?.tags).toEqual([`${lab.registry.host}/a:v1`])
    const { localNames } = createRegistries({
      directories: [],
      registriesConf: confFile(),
      recordedAliases: '/none',
    })
    const local = { find: (name: string) => lab.store.find(name), localNames }
    expect(findImage(local, 'a:v1')?.id).toBe(image.id)
    expect(findImage(local, 'a:v2')).toBeUndefined()
    configure('a mistake')
    expect(localNames('a:v1')).toEqual(['docker.io/library/a:v1'])
  })

  test('is pulled by its alias alone', async () => {
    configure(
      `unqualified-search-registries = ["${lab.mirror.host}"]\n[aliases]\na = "${lab.registry.host}/team/a"`,
    )
    const image = lab.registry.addImage('team/a', 'v1')
    expect(await pullShort('a:v1')).toBe(image.id)
    expect(lab.mirror.requests).toEqual([])
  })

  test('that no registry has fails with what each said', async () => {
    configure(`unqualified-search-registries = ["${lab.mirror.host}", "${lab.registry.host}"]`)
    const message = await messageOf(pullShort('a:v1'))
    expect(message).toContain(`${lab.mirror.host}/v2/a/manifests/v1: 404`)
    expect(message).toContain(`${lab.registry.host}/v2/a/manifests/v1: 404`)
  })

  test('takes no credentials along, which were meant for docker.io', async () => {
    configure(`unqualified-search-registries = ["${lab.registry.host}"]`)
    lab.registry.addImage('a', 'v1')
    lab.registry.auth = { kind: 'basic', username: 'u', password: 's3cret' }
    expect(await messageOf(pullShort('a:v1'))).toContain('the credentials are for docker.io')
    expect(lab.registry.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    expect(await pullShort('a:v1', { ...user, serverAddress: lab.registry.host })).toMatch(/^sha256:/)
  })
})

describe('a mirror that fails', () => {
  test.for([
    ['is not there', hangUp],
    ['has an internal error', answerWith(500)],
  ] as const)('because it %s is passed over by the next pulls, then asked again', async ([, behaviour]) => {
    await lab.configureMirror()
    for (const name of ['a', 'b', 'c', 'd']) lab.registry.addImage(name, 'v1', { layers: [name] })
    lab.mirror.misbehave(/./, behaviour, 3)
    await lab.pull('a:v1')
    expect(lab.mirror.requests).toHaveLength(3)
    lab.clock.seconds = 29
    await lab.pull('b:v1')
    expect(lab.mirror.requests).toHaveLength(3)
    lab.clock.seconds = 30
    const image = lab.mirror.addImage('c', 'v1', { layers: ['c'] })
    expect(await lab.pull('c:v1')).toBe(image.id)
    expect(lab.mirror.requests.length).toBeGreaterThan(3)
    expect(lab.gets(/.c.manifests/)).toEqual([])
  })

  test('is asked all the same by a pull that no other can serve', async () => {
    await lab.configureMirror()
    lab.registry.addImage('a', 'v1')
    lab.mirror.misbehave(/./, hangUp, 3)
    await lab.pull('a:v1')
    const image = lab.mirror.addImage('b', 'v1')
    expect(await lab.pull('b:v1')).toBe(image.id)
  })

  test('the registry itself is never passed over', async () => {
    const image = lab.registry.addImage('a', 'v1')
    lab.registry.misbehave(/./, hangUp, 3)
    await lab.failureOf('a:v1')
    expect(await lab.pull('a:v1')).toBe(image.id)
  })

  test('one that only lacks an image is asked for the next', async () => {
    await lab.configureMirror()
    lab.registry.addImage('a', 'v1')
    await lab.pull('a:v1')
    const image = lab.mirror.addImage('b', 'v1')
    expect(await lab.pull('b:v1')).toBe(image.id)
    expect(lab.gets(/.b.manifests/)).toEqual([])
  })
})

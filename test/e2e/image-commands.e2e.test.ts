import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goProgram } from '#test/fixtures/built.ts'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { startRegistry, type TestRegistry } from '#test/integration/registry.ts'
import { emulateArm64 } from './emulation.ts'
import { useDaemon } from './host.ts'
import { CONTAINER, POD, runPod } from './pod.ts'
import { until } from './until.ts'

const registriesDir = mkdtempSync('/run/cri-ts-registries-')
const PINNED = '*/pinned/*'

let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry()
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(registriesDir, { recursive: true })
})
const daemon = useDaemon({
  config: [
    '[metrics]',
    'address = "127.0.0.1:0"',
    '[image]',
    `registries_dir = "${registriesDir}"`,
    'platforms = ["linux/amd64", "linux/arm64"]',
    `pinned_images = ["${PINNED}"]`,
  ].join('\n'),
})

const imageOf = (name: string) => buildImage({ layers: [[{ name, content: name }]], config: { User: '7' } })
const statusOf = async (reference: string) =>
  (await daemon().rpc('ImageStatus', { image: { image: reference } }))['image']

test('cri-ts pulls, shows, lists and removes an image; metrics count it, on the socket and by TCP', async () => {
  const image = imageOf('commands')
  const { digest } = await registry.push('commands', 'v1', image)
  const name = `${registry.host}/commands:v1`
  expect(await daemon().criTs('images', 'pull', name)).toBe(`${image.id}\n`)
  expect(JSON.parse(await daemon().criTs('images', 'inspect', name))).toMatchObject({
    ...{ id: image.id, tags: [name], digests: [`${registry.host}/commands@${digest}`] },
    ...{ platform: 'linux/amd64', layers: image.layers.map(({ diffId }) => diffId), config: { user: '7' } },
  })
  expect(await daemon().criTs('images', 'ls')).toContain(name)

  const bytes = image.layers.reduce((sum, layer) => sum + layer.bytes.length, 0)
  const counted = await daemon().criTs('metrics')
  expect(counted).toContain('\ncri_ts_image_pulls_total{result="success"} 1\n')
  expect(counted).toContain(`\ncri_ts_image_pull_bytes_total ${bytes}\n`)
  expect(counted).toContain('\ncri_ts_images 2\n') // All tests have one.
  expect(counted).toMatch(/\ncri_ts_image_layers_used_bytes [1-9]\d+\n/)
  const url = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(daemon().log())?.[0] ?? ''
  expect(await (await fetch(url)).text()).toBe(counted)

  expect(await daemon().criTs('images', 'rm', image.id.slice(7, 20))).toBe(`${image.id} ${name}\n`)
  expect(await statusOf(name)).toBeNull()
})

test('a pull that fails names every endpoint that was tried, and why, to cri-ts as to kubelet', async () => {
  const broken = 'broken.example'
  mkdirSync(join(registriesDir, broken))
  writeFileSync(
    join(registriesDir, broken, 'hosts.toml'),
    `server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:2"]\n[host."http://${registry.host}"]\n`,
  )
  const tried = [
    /127\.0\.0\.1:2\/v2\/\S+ connection refused/,
    new RegExp(`${registry.host}/v2/\\S+ 404 not found`),
    /127\.0\.0\.1:1\/v2\/\S+ connection refused/,
  ]
  const pulled = daemon().criTs('images', 'pull', `${broken}/app:1`)
  for (const why of tried) await expect(pulled).rejects.toThrow(why)
  const failure = await daemon()
    .rpc('PullImage', { image: { image: `${broken}/app:1` } })
    .catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 2, details: expect.stringMatching(/^RegistryUnavailable: pull /) })
  const { details } = failure as { details: string }
  for (const endpoint of ['127.0.0.1:1/', '127.0.0.1:2/', registry.host]) expect(details).toContain(endpoint)
})

test('one image has several tags, which move; by a digest it has none; it goes with all its names', async () => {
  const [first, second] = [imageOf('first'), imageOf('second')]
  const { digest } = await registry.push('moving', 'v1', first)
  await registry.push('moving', 'same', first)
  const named = (tag: string) => `${registry.host}/moving:${tag}`
  const digested = `${registry.host}/moving@${digest}`

  await daemon().crictl('pull', `${named('v1')}@${digest}`)
  expect(await statusOf(first.id)).toMatchObject({ repo_tags: [], repo_digests: [digested] })
  expect(await statusOf(named('v1'))).toBeNull()
  for (const tag of ['v1', 'same']) await daemon().crictl('pull', named(tag))
  expect(await statusOf(named('same'))).toMatchObject({
    ...{ id: first.id, repo_tags: [named('v1'), named('same')], repo_digests: [digested] },
    ...{ uid: { value: '7' }, spec: { image: first.id }, pinned: false },
  })

  await registry.push('moving', 'v1', second)
  await daemon().crictl('pull', named('v1'))
  expect(await statusOf(named('v1'))).toMatchObject({ id: second.id, repo_tags: [named('v1')] })
  expect(await statusOf(first.id)).toMatchObject({ repo_tags: [named('same')], repo_digests: [digested] })
  const { images } = await daemon().rpc('ListImages', { filter: { image: { image: named('same') } } })
  expect(images).toMatchObject([{ id: first.id }])

  // As kubelet's garbage collection does, and as crictl rmi does.
  await daemon().rpc('RemoveImage', { image: { image: second.id } })
  await daemon().crictl('rmi', named('same'))
  for (const gone of [first.id, second.id, named('v1'), named('same'), digested]) {
    expect(await statusOf(gone)).toBeNull()
  }
})

test('a pinned image is told to kubelet as such; a container shows what its image was pulled as', async () => {
  const image = busyboxImage({ files: [{ name: 'pinned' }] })
  const { digest } = await registry.push('pinned/app', 'v1', image)
  await registry.push('elsewhere/app', 'v1', image)
  const name = `${registry.host}/pinned/app:v1`
  for (const one of [`${registry.host}/elsewhere/app:v1`, name]) await daemon().crictl('pull', one)
  expect(await statusOf(name)).toMatchObject({ id: image.id, pinned: true })
  {
    await using pod = await runPod(daemon(), 'runc')
    const spec = { image: image.id, user_specified_image: name }
    const container = await pod.run({ image: spec })
    expect(await container.status()).toMatchObject({
      ...{
        image: { image: name, user_specified_image: name },
        image_id: image.id,
        image_ref: `${registry.host}/pinned/app@${digest}`,
      },
    })
  }
  await daemon().crictl('rmi', name)
})

test.skipIf(process.arch !== 'x64')(
  'an image for arm64 runs on amd64 by an emulator, in a user namespace and with the default seccomp profile',
  async () => {
    const program = readFileSync(goProgram('emulated-program'))
    expect(program.readUInt16LE(18)).toBe(0xb7) // e_machine: AArch64
    const layers = [[{ name: 'program', content: program, mode: 0o755 }]]
    const [arm, s390x] = ['arm64', 's390x'].map((architecture) => buildImage({ layers, architecture }))
    if (arm === undefined || s390x === undefined) throw new Error('unreachable')
    await registry.push('emulated', 'v1', [s390x, arm])
    await registry.push('emulated', 'v2', s390x)
    const name = `${registry.host}/emulated:v1`
    expect(await daemon().criTs('images', 'pull', name)).toBe(`${arm.id}\n`)
    expect(JSON.parse(await daemon().criTs('images', 'inspect', name)).platform).toBe('linux/arm64')
    await expect(daemon().criTs('images', 'pull', `${registry.host}/emulated:v2`)).rejects.toThrow(
      'there is none for linux/amd64 or linux/arm64/v8, only for linux/s390x',
    )
    {
      const mapping = { container_id: 0, host_id: 1_000_000, length: 65_536 }
      const userns = { mode: POD, uids: [mapping], gids: [mapping] }
      const linux = {
        security_context: {
          namespace_options: { pid: CONTAINER, userns_options: userns },
          seccomp: { profile_type: 0 },
        },
      }
      await using pod = await runPod(daemon(), 'crun', { linux })
      await using _emulator = await emulateArm64(join(daemon().state, 'ns', pod.id, 'user'))
      const container = await pod.run({ image: { image: name }, command: ['/program', 'wait'], linux })
      expect(await container.exec('/program')).toBe('arm64, user 0')
      const log = join(pod.logDirectory, 'container.log')
      const says = (line: RegExp) => until(`${line}`, () => line.test(readFileSync(log, 'utf8')))
      await says(/stdout F arm64, user 0$/m)
      await daemon().crictl('stop', '--timeout', '10', container.id)
      await says(/stdout F asked to end$/m)
    }
    await daemon().crictl('rmi', name)
  },
)

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { type BuiltImage, buildImage, digestOf } from '#test/fixtures/image.ts'
import { dockerArchive, ociArchive } from '#test/fixtures/image-archive.ts'
import type { TarFile } from '#test/fixtures/tar.ts'
import { startRegistry, type TestRegistry } from '#test/integration/registry.ts'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

const USER = { username: 'kube', password: 's3cret' }
const MIRRORED = 'registry.example'
const registriesDir = mkdtempSync('/run/cri-ts-registries-')

let plain: TestRegistry
let guarded: TestRegistry
// Before the daemon and the first look at the host.
beforeAll(async () => {
  plain = await startRegistry()
  guarded = await startRegistry({ tls: true, htpasswd: USER })
  const ca = guarded.certificates?.caFile
  hostsToml(guarded.host, `[host."${guarded.url}"]\nca = "${ca}"\n`)
  hostsToml(
    MIRRORED,
    `server = "https://${MIRRORED}"\n[host."http://${plain.host}"]\ncapabilities = ["pull", "resolve"]\n`,
  )
})
afterAll(async () => {
  await plain[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
  rmSync(registriesDir, { recursive: true })
})
const daemon = useDaemon({
  config: `[image]
registries_dir = "${registriesDir}"
registries_conf = "${registriesDir}/registries.conf"
auth_file = "${registriesDir}/auth.json"
namespaced_auth_dir = "${registriesDir}"`,
})

function hostsToml(host: string, text: string): void {
  mkdirSync(join(registriesDir, host))
  writeFileSync(join(registriesDir, host, 'hosts.toml'), text)
}

/** Base files, and a second layer that takes one away, hides a directory and adds what only some archives hold. */
const BASE: readonly TarFile[] = [
  { name: 'gone', content: 'x' },
  { name: 'opaque/', type: 'directory' },
  { name: 'opaque/old', content: 'x' },
  { name: 'kept', content: 'kept', uid: 1000, gid: 2000, mode: 0o640 },
]
const CHANGES: readonly TarFile[] = [
  { name: '.wh.gone' },
  { name: 'opaque/', type: 'directory' },
  { name: 'opaque/.wh..wh..opq' },
  { name: 'opaque/new', content: 'new' },
  { name: 'link', type: 'symlink', linkName: 'kept' },
  { name: 'hard', type: 'link', linkName: 'opaque/new' },
  { name: 'null', type: 'character-device', major: 1, minor: 3, mode: 0o666 },
]
const layered = (compression: 'gzip' | 'zstd'): BuiltImage => {
  const base = busyboxImage({ files: BASE })
  return buildImage({
    layers: [...base.layers.map(({ tar }) => tar), CHANGES],
    compression,
    config: { Cmd: ['sh'] },
  })
}

async function remove(reference: string): Promise<void> {
  await daemon().crictl('rmi', reference)
  const { image } = await daemon().rpc('ImageStatus', { image: { image: reference } })
  expect(image).toBeNull()
}

test.for(['gzip', 'zstd'] as const)(
  'an image with %s layers is pulled, listed, told by any of its names, and removed',
  async (compression) => {
    const image = layered(compression)
    const { digest } = await plain.push('app', compression, image)
    const name = `${plain.host}/app:${compression}`
    expect(await daemon().crictl('pull', name)).toContain(image.id)

    const names = [name, image.id, image.id.slice('sha256:'.length), `${plain.host}/app@${digest}`]
    for (const reference of names) {
      const { status } = await daemon().crictlJson('inspecti', '-o', 'json', reference)
      expect(status, reference).toMatchObject({
        id: image.id,
        repoTags: [name],
        repoDigests: [`${plain.host}/app@${digest}`],
      })
    }
    const { images } = await daemon().crictlJson('images', '-o', 'json')
    expect(images.find(({ id }: { id: string }) => id === image.id)).toMatchObject({ repoTags: [name] })
    await remove(name)
  },
)

testOnEach(
  '%s: what the layers hold is what the container sees, and its image_id is that of the pull',
  async (handler) => {
    const image = layered('gzip')
    await plain.push('layers', 'v1', image)
    const name = `${plain.host}/layers:v1`
    await daemon().crictl('pull', name)
    {
      await using pod = await runPod(daemon(), handler)
      const container = await pod.run({ image: { image: name } })
      expect(await container.exec('ls', '/opaque')).toBe('new')
      await expect(container.exec('ls', '/gone')).rejects.toThrow(/No such file/)
      expect(await container.exec('stat', '-c', '%u %g %a', '/kept')).toBe('1000 2000 640')
      expect(await container.exec('cat', '/link')).toBe('kept')
      expect(await container.exec('stat', '-c', '%h', '/hard')).toBe('2')
      expect(await container.exec('stat', '-c', '%t %T', '/null')).toBe('1 3')
      expect(await container.status()).toMatchObject({ image_id: image.id, image: { image: name } })
    }
    await remove(name)
  },
)

test('TLS with an authority of its own and a password: pulled with credentials, refused without', async () => {
  const image = layered('gzip')
  await guarded.push('private', 'v1', image)
  const name = `${guarded.host}/private:v1`
  await expect(daemon().crictl('pull', name)).rejects.toThrow(/Unauthenticated|unauthorized|401/i)
  await expect(daemon().crictl('pull', '--creds', 'kube:wrong', name)).rejects.toThrow(
    /Unauthenticated|unauthorized|401/i,
  )
  await daemon().crictl('pull', '--creds', `${USER.username}:${USER.password}`, name)
  expect(daemon().log()).not.toContain(USER.password)
  await remove(name)
})

test("a short name is pulled by its alias with the credentials of the pod's namespace, and runs by it", async () => {
  const image = layered('gzip')
  await guarded.push('team/short', 'v1', image)
  writeFileSync(join(registriesDir, 'registries.conf'), `[aliases]\nshort = "${guarded.host}/team/short"`)
  const name = createHash('sha256').update('docker.io/library/short').digest('hex')
  const provided = join(registriesDir, `team-${name}.json`)
  const auth = Buffer.from(`${USER.username}:${USER.password}`).toString('base64')
  writeFileSync(provided, JSON.stringify({ auths: { [guarded.host]: { auth } } }))
  expect(await daemon().criTs('registry', 'explain', '--namespace', 'team', 'short:v1')).toContain(provided)
  const request = { image: { image: 'short:v1' }, sandbox_config: { metadata: { namespace: 'team' } } }
  expect(await daemon().rpc('PullImage', request)).toEqual({ image_ref: image.id })
  expect(existsSync(provided)).toBe(false)
  const { image: found } = await daemon().rpc('ImageStatus', { image: { image: 'short:v1' } })
  expect(found).toMatchObject({ repo_tags: [`${guarded.host}/team/short:v1`] })
  {
    await using pod = await runPod(daemon(), 'crun')
    const container = await pod.run({ image: { image: 'short:v1' } })
    expect(await container.exec('cat', '/kept')).toBe('kept')
  }
  await remove('short:v1')
})

test('a registry that cannot be reached is served by its mirror', async () => {
  await plain.push('mirrored', 'v1', layered('gzip'))
  await daemon().crictl('pull', `${MIRRORED}/mirrored:v1`)
  await remove(`${MIRRORED}/mirrored:v1`)
})

test('of an index the image for this platform is pulled', async () => {
  const [own, foreign] = [layered('gzip'), buildImage({ layers: [BASE], architecture: 's390x' })]
  await plain.push('many', 'v1', [foreign, own])
  expect(await daemon().crictl('pull', `${plain.host}/many:v1`)).toContain(own.id)
  await remove(`${plain.host}/many:v1`)
})

test('two pulls of one image at once both succeed with the same id', async () => {
  const image = layered('gzip')
  await plain.push('shared', 'v1', image)
  const request = { image: { image: `${plain.host}/shared:v1` } }
  const answers = await Promise.all([daemon().rpc('PullImage', request), daemon().rpc('PullImage', request)])
  expect(answers.map((answer) => answer['image_ref'])).toEqual([image.id, image.id])
  await remove(`${plain.host}/shared:v1`)
})

test('an image that the registry does not have is NOT_FOUND, and leaves nothing behind', async () => {
  await expect(
    daemon().rpc('PullImage', { image: { image: `${plain.host}/no/such:tag` } }),
  ).rejects.toMatchObject({
    code: 5,
    details: expect.stringContaining(`${plain.host}/no/such:tag`),
  })
})

test('a layer whose diff id is another one is refused, and leaves nothing behind', async () => {
  const image = layered('gzip')
  const other = buildImage({ layers: [BASE, CHANGES], config: { Cmd: ['other'] } })
  await plain.push('broken', 'v1', withConfigOf(other, image))
  await expect(
    daemon().rpc('PullImage', { image: { image: `${plain.host}/broken:v1` } }),
  ).rejects.toMatchObject({
    details: expect.stringMatching(/uncompressed layer has the digest/),
  })
})

test.for([
  ['OCI layout', (image: BuiltImage) => ociArchive([image])],
  ['docker archive', (image: BuiltImage) => dockerArchive(image, ['x/y:z'])],
] as const)('an %s is imported under the name that is asked for', async ([, archive]) => {
  const file = join(daemon().directory, 'archive.tar')
  const image = layered('zstd')
  writeFileSync(file, archive(image))
  expect(await daemon().criTs('images', 'import', '--name', 'localhost/imported:v1', file)).toContain(
    image.id,
  )
  expect(await daemon().criTs('images', 'ls')).toContain('localhost/imported:v1')
  await remove('localhost/imported:v1')
})

test('ImageFsInfo tells where images lie and what they use', async () => {
  const { image_filesystems: filesystems } = await daemon().rpc('ImageFsInfo')
  expect(filesystems).toMatchObject([{ fs_id: { mountpoint: expect.stringContaining(daemon().root) } }])
  expect(Number(filesystems[0].used_bytes.value)).toBeGreaterThan(1 << 20)
})

testOnEach('%s: an image that a container uses stays usable after its removal', async (handler) => {
  const image = layered('gzip')
  await plain.push('in-use', handler, image)
  const name = `${plain.host}/in-use:${handler}`
  await daemon().crictl('pull', name)
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ image: { image: name } })
  await daemon().rpc('RemoveImage', { image: { image: name } })
  expect(await container.exec('cat', '/kept')).toBe('kept')
})

/** The layers of one image under a manifest whose config names those of another. */
function withConfigOf(image: BuiltImage, other: BuiltImage): BuiltImage {
  const manifest = JSON.parse(image.manifest.bytes.toString())
  manifest.config = JSON.parse(other.manifest.bytes.toString()).config
  const bytes = Buffer.from(JSON.stringify(manifest))
  return { ...image, config: other.config, manifest: { ...image.manifest, bytes, digest: digestOf(bytes) } }
}

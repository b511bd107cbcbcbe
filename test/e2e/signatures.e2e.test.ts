import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { type Blob, digestOf } from '#test/fixtures/image.ts'
import { pushManifestWith } from '#test/fixtures/push-image.ts'
import { makeSigningKey, signatureOf, simpleSigning } from '#test/fixtures/sign-image.ts'
import { startRegistry, type TestRegistry } from '#test/integration/registry.ts'
import { useDaemon } from './host.ts'
import { runPod, SLEEP } from './pod.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const directory = mkdtempSync('/run/cri-ts-policies-')
const policyFile = join(directory, 'policy.json')
const namespaces = join(directory, 'namespaces')
const key = makeSigningKey()

let registry: TestRegistry
beforeAll(async () => {
  mkdirSync(namespaces)
  requireKey(key.publicPem)
  registry = await startRegistry()
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
const daemon = useDaemon({
  config: `[image]\nsignature_policy = "${policyFile}"\nsignature_policy_dir = "${namespaces}"`,
})

/** Of what is in the repository `app` of any registry. */
function requireKey(publicPem: string): void {
  const rule = {
    type: 'sigstoreSigned',
    keyData: Buffer.from(publicPem).toString('base64'),
    signedIdentity: { type: 'matchRepository' },
  }
  const scopes = registry === undefined ? {} : { [`${registry.host}/app`]: [rule] }
  const policy = { default: [{ type: 'insecureAcceptAnything' }], transports: { docker: scopes } }
  writeFileSync(policyFile, JSON.stringify(policy))
}

const blobOf = (bytes: Buffer, mediaType: string): Blob => ({ bytes, mediaType, digest: digestOf(bytes) })

async function put(
  repository: string,
  tag: string,
  layers: readonly (Blob & { annotations: object })[],
  about = {},
) {
  const config = blobOf(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json')
  const described = ({ bytes, mediaType, digest }: Blob) => ({ mediaType, digest, size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: MANIFEST, ...about, config: described(config) },
      layers: layers.map(({ annotations, ...layer }) => ({ ...described(layer), annotations })),
    }),
  )
  await pushManifestWith(registry.url, repository, tag, blobOf(manifest, MANIFEST), [config, ...layers])
  return digestOf(manifest)
}

async function sign(repository: string, digest: string): Promise<void> {
  const payload = simpleSigning(digest, `${registry.host}/${repository}`)
  const annotations = { 'dev.cosignproject.cosign/signature': signatureOf(payload, key) }
  const layer = blobOf(payload, 'application/vnd.dev.cosign.simplesigning.v1+json')
  await put(repository, `${digest.replace(':', '-')}.sig`, [{ ...layer, annotations }])
}

test('an image is pulled and run while the policy that applies to it has it signed, and not otherwise', async () => {
  requireKey(key.publicPem)
  const { digest } = await registry.push(
    'app',
    'v1',
    busyboxImage({ files: [{ name: 'signed', content: 'x' }] }),
  )
  const reference = `${registry.host}/app:v1`
  await expect(daemon().crictl('pull', reference)).rejects.toThrow(
    /SignatureValidationFailed: .*app:v1 is refused by .*policy.json, transports.docker.*\(sigstoreSigned\): .*holds no signature of sha256:/s,
  )
  await expect(daemon().rpc('PullImage', { image: { image: reference } })).rejects.toThrow(
    /^2 UNKNOWN: SignatureValidationFailed: /,
  )
  await sign('app', digest)
  await daemon().crictl('pull', reference)

  await using pod = await runPod(daemon(), 'runc')
  const { image } = await daemon().rpc('ImageStatus', { image: { image: reference } })
  const wanted = { image: { image: image.id, user_specified_image: reference } }
  await pod.create(wanted)
  requireKey(makeSigningKey().publicPem)
  await expect(pod.create(wanted)).rejects.toThrow(
    /SignatureValidationFailed: .*no key of the policy made it/s,
  )
  writeFileSync(
    join(namespaces, 'e2e.json'),
    JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }),
  )
  await pod.create(wanted)
  writeFileSync(join(namespaces, 'e2e.json'), '{')
  await expect(pod.create(wanted)).rejects.toThrow(
    /SignatureValidationFailed: signature policy .*e2e.json is no valid JSON/,
  )
  rmSync(join(namespaces, 'e2e.json'))
  requireKey(key.publicPem)
  await daemon().crictl('rmi', reference)
})

test('an artifact is mounted as a volume, its files without a right to run, and no container is made of it', async () => {
  const file = (title: string, text: string) => ({
    ...blobOf(Buffer.from(text), 'text/plain'),
    annotations: { 'org.opencontainers.image.title': title },
  })
  const files = [file('conf/greeting', 'hello'), file('run.sh', '#!/bin/sh')]
  const digest = await put('model', 'v1', files, { artifactType: 'application/vnd.example.model' })
  const reference = `${registry.host}/model:v1`
  await daemon().crictl('pull', reference)
  const { images } = await daemon().crictlJson('images', '-o', 'json', reference)
  expect(images).toMatchObject([
    { id: digest, repoTags: [reference], repoDigests: [`${registry.host}/model@${digest}`] },
  ])

  await using pod = await runPod(daemon(), 'runc')
  const mount = (more: object = {}) => ({
    container_path: '/model',
    readonly: true,
    image: { image: reference },
    ...more,
  })
  const container = await pod.run({
    mounts: [mount(), mount({ container_path: '/conf', image_sub_path: 'conf' })],
  })
  expect(await container.exec('cat', '/model/conf/greeting', '/conf/greeting')).toBe('hellohello')
  await expect(container.exec('sh', '-c', 'echo > /model/new')).rejects.toThrow('Read-only file system')
  expect(await container.exec('grep', ' /model ', '/proc/mounts')).toMatch(/ ro,.*noexec/)
  expect((await container.status())['mounts'][0]).toMatchObject({
    image: { image: reference, image_ref: `${registry.host}/model@${digest}` },
  })
  await expect(pod.create({ mounts: [mount({ image_sub_path: 'conf/none' })] })).rejects.toThrow(
    /ImageVolumeMountFailed: .*image_sub_path conf\/none: there is no such path/,
  )
  await expect(pod.create({ image: { image: reference }, command: SLEEP })).rejects.toThrow(
    /is an OCI artifact \(application\/vnd.example.model\), which cannot be run: mount it as an image volume/,
  )
  await daemon().crictl('rm', '-f', container.id)
  await daemon().crictl('rmi', reference)
})

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect } from 'vitest'
import { unmount } from '#linux/libc.ts'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'
import { testOnEach, useDaemon } from './host.ts'
import { type Container, containerConfig, containerOf, type Fields, type Pod, runPod } from './pod.ts'

const VOLUMES = 'localhost/e2e/volumes:latest'
const MODEL = 'localhost/e2e/model:latest'

const daemon = useDaemon({
  config: `[runtime]
shm_size = "32Mi"
absent_mount_sources_to_reject = ["/missing-on-this-host"]
default_mounts = [
  { destination = "/scratch", type = "tmpfs", options = ["size=1m", "noexec"] },
  { source = "/etc/group", destination = "/etc/host-group", options = ["ro"] },
]`,
})

beforeAll(async () => {
  const owned = { uid: 1000, gid: 2000 }
  const volumes = busyboxImage({
    config: { Cmd: ['sh'], Env: ['PATH=/bin'], Volumes: { '/data': {}, '/fresh/volume': {}, '/asked': {} } },
    files: [
      { name: 'data/', type: 'directory', mode: 0o1770, ...owned },
      { name: 'data/file', content: 'of the image\n', mode: 0o640, ...owned },
      { name: 'data/link', type: 'symlink', linkName: '/etc/passwd' },
    ],
  })
  const model = buildImage({
    layers: [
      [{ name: 'weights/v1/data', content: 'weights\n' }],
      [{ name: 'run', mode: 0o755, content: '#!/bin/sh\n' }],
    ],
  })
  for (const [image, name] of [
    [volumes, VOLUMES],
    [model, MODEL],
  ] as const) {
    const path = join(daemon().directory, 'image.tar')
    writeFileSync(path, dockerArchive(image, [name.replace('localhost/e2e/', '')]))
    await daemon().criTs('images', 'import', '--name', name, path)
  }
})

const model = (fields: Fields = {}): Fields => ({
  ...{ container_path: '/model', readonly: true, image: { image: MODEL, user_specified_image: MODEL } },
  ...fields,
})

/** crictl v1.36.0 does not know mount_options. */
async function runByRpc(pod: Pod, fields: Fields): Promise<Container> {
  const config = containerConfig(fields)
  const request = { pod_sandbox_id: pod.id, config, sandbox_config: pod.config }
  const { container_id: id } = await daemon().rpc('CreateContainer', request)
  const container = containerOf(daemon(), `${id}`, config)
  await container.start()
  return container
}

const mountLine = async (container: Container, path: string): Promise<string> =>
  (await container.exec('cat', '/proc/self/mountinfo'))
    .split('\n')
    .find((line) => line.split(' ')[4] === path) ?? 'not mounted'

testOnEach(
  '%s: an image is mounted as a volume, read-only, and is gone after the container',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const mounts = [
      model(),
      model({ container_path: '/v1', image_sub_path: 'weights/v1', mount_options: ['noexec'] }),
    ]
    const container = await runByRpc(pod, { mounts })
    expect(await container.exec('cat', '/model/weights/v1/data', '/v1/data')).toBe('weights\nweights')
    await expect(container.exec('touch', '/model/new')).rejects.toThrow('Read-only file system')
    expect(await mountLine(container, '/model')).toMatch(/ro,nosuid,nodev,relatime/)
    expect(await mountLine(container, '/v1')).toMatch(/ro,nosuid,nodev,noexec,relatime/)
    const status = await container.status()
    const { images } = await daemon().crictlJson('images', '-o', 'json')
    const { id } = images.find(({ repoTags }: { repoTags: string[] }) => repoTags.includes(MODEL))
    expect(status['mounts'][1]).toMatchObject({
      ...{ container_path: '/v1', host_path: '', readonly: true, image_sub_path: 'weights/v1' },
      ...{ image: { image: MODEL, image_ref: id }, mount_options: ['noexec'] },
    })

    await daemon().kill9()
    await daemon().start()
    expect(await container.exec('cat', '/v1/data')).toBe('weights')
    await daemon().rpc('RemoveContainer', { container_id: container.id })
    expect(readdirSync(join(daemon().state, 'volumes'))).toEqual([])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${daemon().state}/volumes`)
  },
)

testOnEach('%s: an image volume that cannot be had fails as kubelet expects it', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const create = (fields: Fields) => pod.create({ mounts: [model(fields)] })
  await expect(create({ image_sub_path: 'weights/v2' })).rejects.toThrow(
    /desc = ImageVolumeMountFailed: image volume .*model:latest at \/model: image_sub_path weights\/v2: there is no such path/,
  )
  await expect(create({ image: { image: 'localhost/e2e/absent' } })).rejects.toThrow(
    /code = NotFound desc = ImageVolumeMountFailed: .* pull it first/,
  )
  await expect(create({ readonly: false })).rejects.toThrow(/mounts\[0\].readonly is false/)
  expect(existsSync(join(daemon().state, 'volumes'))).toBe(true)
  expect(readdirSync(join(daemon().state, 'volumes'))).toEqual([])
})

testOnEach(
  "%s: an image's VOLUMEs have what it has there, are written to, and go with the container",
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const hostPath = join(daemon().directory, `asked-${handler}`)
    const container = await pod.run({
      image: { image: VOLUMES },
      mounts: [{ container_path: '/asked/', host_path: hostPath }],
      linux: { security_context: { readonly_rootfs: true } },
    })
    expect(await container.exec('stat', '-c', '%n %a %u:%g', '/data', '/data/file', '/fresh/volume')).toBe(
      '/data 1770 1000:2000\n/data/file 640 1000:2000\n/fresh/volume 755 0:0',
    )
    expect(await container.exec('cat', '/data/file')).toBe('of the image')
    expect(await container.exec('readlink', '/data/link')).toBe('/etc/passwd')
    await container.exec('touch', '/data/new', '/fresh/volume/new', '/asked/new')
    expect(readdirSync(hostPath)).toEqual(['new'])
    const home = join(daemon().root, 'rootfs', container.id, 'volumes')
    expect(readdirSync(home)).toHaveLength(2)

    await daemon().kill9()
    await daemon().start()
    expect(await container.exec('ls', '/data')).toBe('file\nlink\nnew')
    await daemon().rpc('RemoveContainer', { container_id: container.id })
    expect(existsSync(home)).toBe(false)
  },
)

testOnEach('%s: a configured mount is in every container, but where the request has one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  expect(await mountLine(container, '/scratch')).toMatch(
    /rw,nosuid,nodev,noexec,relatime .* tmpfs .*size=1024k/,
  )
  expect(await container.exec('head', '-n', '1', '/etc/host-group')).toMatch(/^root:/)
  const mounts = [{ container_path: '/scratch', host_path: daemon().directory, readonly: true }]
  expect(await mountLine(await pod.run({ mounts }), '/scratch')).not.toContain('tmpfs')
  await expect(
    pod.create({ mounts: [{ container_path: '/x', host_path: '/missing-on-this-host/x' }] }),
  ).rejects.toThrow(/mount source \/missing-on-this-host\/x does not exist/)
})

testOnEach("%s: a pod's /dev/shm has the configured size, or that of an annotation", async (handler) => {
  const sizeOf = async (annotations: Fields): Promise<string> => {
    await using pod = await runPod(daemon(), handler, { annotations })
    return (await mountLine(await pod.run(), '/dev/shm')).match(/size=\d+k/)?.[0] ?? ''
  }
  expect(await sizeOf({})).toBe(`size=${32 << 10}k`)
  expect(await sizeOf({ 'io.kubernetes.cri-o.ShmSize': '128Mi' })).toBe(`size=${128 << 10}k`)
  await expect(sizeOf({ 'shm-size.cri-ts.io': 'big' })).rejects.toThrow(/annotations\[shm-size.cri-ts.io\]/)
})

testOnEach(
  '%s: a mount of the container comes to the host and back where it is bidirectional',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, { linux: { security_context: { privileged: true } } })
    const hostPath = join(daemon().directory, `propagation-${handler}`)
    mkdirSync(join(hostPath, 'sub'), { recursive: true })
    const create = (propagation: number) =>
      pod.run({
        mounts: [{ container_path: '/mnt', host_path: hostPath, propagation }],
        linux: { security_context: { privileged: true } },
      })
    const [own, slave, shared] = [await create(0), await create(1), await create(2)]
    await shared.exec('mount', '-t', 'tmpfs', 'tmpfs', '/mnt/sub')
    try {
      await shared.exec('touch', '/mnt/sub/file')
      expect(readdirSync(join(hostPath, 'sub'))).toEqual(['file'])
      expect(await slave.exec('ls', '/mnt/sub')).toBe('file')
      expect(await own.exec('ls', '/mnt/sub')).toBe('')
    } finally {
      await unmount(join(hostPath, 'sub'))
    }
  },
)

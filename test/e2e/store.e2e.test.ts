import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildImage } from '#test/fixtures/image.ts'
import { ociArchive } from '#test/fixtures/image-archive.ts'
import { startDaemon } from './daemon.ts'
import { useDaemon } from './host.ts'
import { IMAGE, NODE, runPod } from './pod.ts'
import { until } from './until.ts'

/** The file system of /run is another one than that of the root directory. */
const store = mkdtempSync('/run/cri-ts-store-')
afterAll(() => rmSync(store, { recursive: true }))
const daemon = useDaemon({ config: `[image]\nimage_store = "${store}"` })

const SPARE = 'localhost/spare:v1'
async function importSpare(): Promise<void> {
  const file = join(daemon().directory, 'spare.tar')
  writeFileSync(file, ociArchive([buildImage({ layers: [[{ name: 'spare', content: 'spare' }]] })]))
  await daemon().criTs('images', 'import', '--name', SPARE, file)
}
const namesOf = async (of = daemon()): Promise<readonly string[]> =>
  (await of.crictlJson('images', '-o', 'json')).images.flatMap(
    ({ repoTags }: { repoTags: string[] }) => repoTags,
  )

test('images on a disk of their own run, and each file system is told of by itself', async () => {
  await using pod = await runPod(daemon(), 'crun')
  const container = await pod.run()
  await container.exec('dd', 'if=/dev/zero', 'of=/written', 'bs=1M', 'count=2')
  expect(readdirSync(join(daemon().root, 'rootfs'))).toEqual([container.id])
  const usage = async () => await daemon().rpc('ImageFsInfo')
  await daemon().rpc('ContainerStats', { container_id: container.id })
  await until('what it wrote was measured', async () => {
    await daemon().rpc('ContainerStats', { container_id: container.id })
    return Number((await usage())['container_filesystems'][0].used_bytes.value) > 2 << 20
  })
  expect(await usage()).toMatchObject({
    image_filesystems: [{ fs_id: { mountpoint: store } }],
    container_filesystems: [{ fs_id: { mountpoint: daemon().root } }],
  })
  const df = JSON.parse(await daemon().criTs('store', 'df', '--json'))
  expect(df.totals.map(({ path }: { path: string }) => path)).toEqual([store, daemon().root])
  const unowned = df.owners.filter(({ kind }: { kind: string }) => kind === 'unowned')
  expect(unowned).toEqual([])
  expect(df.owners).toContainEqual(expect.objectContaining({ kind: 'container', names: [container.id] }))
  expect(await daemon().criTs('store', 'check')).toMatch(/^1 images, 1 layers, 0 problems\n$/)
})

test('prune takes the image that no container is made of, and leaves the other', async () => {
  await importSpare()
  await using pod = await runPod(daemon(), 'crun')
  await pod.run()
  expect(await daemon().criTs('store', 'prune', '--all', '--dry-run')).toContain(
    `${SPARE}\n1 images, 1 layers`,
  )
  await daemon().criTs('store', 'prune', '--all')
  expect(await namesOf()).toEqual([IMAGE])
})

test('check fails for a damaged layer; when the machine went down it is dropped at the next start', async () => {
  await importSpare()
  const layers = readdirSync(join(store, 'layers')).filter((name) => !name.includes('.'))
  const damaged = layers.find((name) => readdirSync(join(store, 'layers', name)).includes('spare')) ?? ''
  appendFileSync(join(store, 'layers', damaged, 'spare'), 'x')
  await expect(daemon().criTs('store', 'check')).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/spare .*has 6 bytes, it should have 5.*needed by: localhost\/spare:v1/),
  })
  await daemon().kill9()
  writeFileSync(join(store, 'in-use'), 'the boot before')
  await daemon().start()
  await until('the check has ended', () => daemon().log().includes('all layers were checked'))
  expect(await namesOf()).toEqual([IMAGE])
  expect(daemon().log()).toMatch(/localhost\/spare:v1.*the image store was damaged/)
  await daemon().stop()
  expect(readdirSync(store)).not.toContain('in-use')
  await daemon().start()
})

test('another daemon runs the images where they lie, and removes none', async () => {
  await daemon().stop()
  try {
    await using other = await startDaemon({ config: `[image]\nadditional_stores = ["${store}"]` })
    const { images } = await other.crictlJson('images', '-o', 'json')
    expect(images).toMatchObject([{ repoTags: [IMAGE], pinned: true }])
    await expect(other.crictl('rmi', IMAGE)).rejects.toMatchObject({
      stderr: expect.stringContaining(`lies in ${store}, which is only read: take that out`),
    })
    const host = { linux: { security_context: { namespace_options: { network: NODE } } } }
    await using pod = await runPod(other, 'crun', host)
    expect(await (await pod.run()).exec('echo', 'here')).toBe('here')
    expect(readdirSync(join(other.root, 'layers'))).toEqual([])
  } finally {
    await daemon().start()
  }
})

test('a start that would leave the images behind is refused, and says how to move them', async () => {
  await daemon().stop()
  const config = ['--config', '/dev/null', '--root', daemon().root, '--state', daemon().state]
  const socket = ['--listen', daemon().socket]
  await expect(daemon().criTs(...config, ...socket, 'serve')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`set image.image_store = "${store}", or move it while cri-ts is stopped`),
  })
  await daemon().start()
})

test('a start without the disk of the image store is refused, and takes nothing from containers', async () => {
  await daemon().stop()
  const written = join(daemon().root, 'rootfs/c/upper')
  mkdirSync(written, { recursive: true })
  renameSync(join(store, 'images.db'), join(store, 'kept'))
  const file = join(daemon().directory, 'store.toml')
  writeFileSync(file, `[image]\nimage_store = "${store}"`)
  const places = ['--root', daemon().root, '--state', daemon().state, '--listen', daemon().socket]
  await expect(daemon().criTs('--config', file, ...places, 'serve')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${store}/images.db is missing`),
  })
  expect(existsSync(written)).toBe(true)
  renameSync(join(store, 'kept'), join(store, 'images.db'))
  await daemon().start()
})

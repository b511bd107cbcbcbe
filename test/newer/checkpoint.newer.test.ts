import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from '#test/e2e/host.ts'
import { type Container, type Fields, type Pod, runPod } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'

/** Checkpoints take a CRIU that runs on this kernel, and OCI runtimes built with it: those of hack/newer. */
const daemon = useDaemon({ config: '[runtime]\nrestore_checkpoint_images = true\n' })

const COUNT = 'i=0; while :; do i=$((i+1)); echo $i >/count; echo tick $i; sleep 0.1; done'

/** A container that counts, with a volume. */
function counting(pod: Pod, fields: Fields = {}): Promise<Container> {
  const volume = join(daemon().directory, 'volume')
  mkdirSync(volume, { recursive: true })
  return pod.create({
    command: ['sh', '-c', COUNT],
    mounts: [{ container_path: '/data', host_path: volume }],
    ...fields,
  })
}

const countOf = async (container: Container): Promise<number> =>
  Number(await container.exec('sh', '-c', 'cat /count 2>/dev/null || echo 0'))

async function counted(container: Container, count: number): Promise<void> {
  await until(`it counts to ${count}`, async () => (await countOf(container)) >= count)
}

async function checkpoint(container: Container, name: string): Promise<string> {
  const archive = join(daemon().directory, name)
  await daemon().crictl('checkpoint', `--export=${archive}`, container.id)
  return archive
}

testOnEach('%s: a container goes on elsewhere from its checkpoint, and itself too', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  await first.start()
  await first.exec('sh', '-c', 'echo kept >/written; rm /etc/group')
  await counted(first, 5)
  const archive = await checkpoint(first, 'first.tar')
  const at = await countOf(first)
  await counted(first, at + 3) // It runs on.

  await using other = await runPod(daemon(), handler)
  const second = await counting(other, { image: { image: archive } })
  expect(await second.status()).toMatchObject({ state: 'CONTAINER_CREATED' })
  const log = join(other.logDirectory, 'container.log')
  expect(readFileSync(log, 'utf8')).toBe('')
  await second.start()
  await until('it goes on', () => readFileSync(log, 'utf8').includes('tick'))
  const [, tick] = readFileSync(log, 'utf8').match(/tick (\d+)/) ?? []
  expect(Number(tick)).toBeGreaterThanOrEqual(5)
  expect(Number(tick)).toBeLessThanOrEqual(at + 1)
  expect(await second.exec('sh', '-c', 'cat /written; ls /etc')).not.toContain('group')
  expect(await second.exec('cat', '/written')).toBe('kept')
  expect(await second.status()).toMatchObject({ image_id: (await first.status())['image_id'] })
  await daemon().rpc('StopContainer', { container_id: second.id, timeout: 0 })
  expect(await second.exited()).toMatchObject({ exit_code: 137 })
})

testOnEach('%s: an image made of a checkpoint is one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  await first.start()
  await counted(first, 3)
  const archive = await checkpoint(first, 'for-image.tar')
  const name = `localhost/e2e/saved-${handler}:latest`
  const image = buildImage({ layers: [readFileSync(archive)], config: {} })
  const file = join(daemon().directory, 'image.tar')
  writeFileSync(file, dockerArchive(image, [name]))
  await daemon().criTs('images', 'import', file)

  const taken = counting(pod, { image: { image: name } })
  await expect(taken).rejects.toThrow(/process of the pod has that id already: restore it in another pod/)
  await using other = await runPod(daemon(), handler)
  const second = await counting(other, { image: { image: name } })
  await second.start()
  await counted(second, 4)
  await daemon().rpc('RemoveContainer', { container_id: second.id })
  await daemon().rpc('RemoveImage', { image: { image: name } })
})

testOnEach('%s: what a checkpoint needs is said', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  const location = join(daemon().directory, 'refused.tar')
  const refused = daemon().rpc('CheckpointContainer', { container_id: first.id, location })
  await expect(refused).rejects.toThrow(/is created, not running/)
  await first.start()
  await counted(first, 1)
  const archive = await checkpoint(first, 'refused.tar')
  const bare = pod.create({ image: { image: archive } })
  await expect(bare).rejects.toThrow(/mounts at \/data: give mounts with these container_paths/)
  const relative = daemon().rpc('CheckpointContainer', { container_id: first.id, location: 'x.tar' })
  await expect(relative).rejects.toThrow(/location is "x.tar": it must be an absolute path/)
})

testOnEach('%s: a stop gives up a checkpoint that is being written', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  await first.start()
  await counted(first, 3)
  const location = join(daemon().directory, `stopped-${handler}.tar`)
  execFileSync('mkfifo', [`${location}.part`]) // tar waits for a reader.
  const given = daemon().rpc('CheckpointContainer', { container_id: first.id, location })
  const refused = expect(given).rejects.toThrow(/is being stopped: its checkpoint is given up/)
  await until('the archive is being written', () => existsSync(laidOut(first)))
  await daemon().rpc('StopContainer', { container_id: first.id, timeout: 0 })
  await refused
  expect(await first.exited()).toMatchObject({ exit_code: 137 })
  expect(existsSync(`${location}.part`)).toBe(false)
})

testOnEach('%s: a daemon that ends gives up a checkpoint, and the container goes on', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  await first.start()
  await counted(first, 3)
  const location = join(daemon().directory, `ended-${handler}.tar`)
  execFileSync('mkfifo', [`${location}.part`])
  const given = daemon().rpc('CheckpointContainer', { container_id: first.id, location })
  given.catch(() => {})
  await until('the archive is being written', () => existsSync(laidOut(first)))
  await daemon().stop()
  const log = join(pod.logDirectory, 'container.log')
  const before = readFileSync(log, 'utf8').length
  await until('it goes on without a daemon', () => readFileSync(log, 'utf8').length > before)
  await daemon().start()
})

testOnEach('%s: a daemon killed during a checkpoint leaves the container running', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const first = await counting(pod)
  await first.start()
  await counted(first, 3)
  const location = join(daemon().directory, `held-${handler}.tar`)
  execFileSync('mkfifo', [`${location}.part`]) // tar waits for a reader.
  const broken = daemon().rpc('CheckpointContainer', { container_id: first.id, location })
  broken.catch(() => {})
  await until('the archive is being written', () => existsSync(join(checkpointOf(first), 'part')))
  await daemon().kill9()
  await daemon().start()
  await expect(broken).rejects.toThrow()
  await counted(first, (await countOf(first)) + 3)
  await until('what was written of the archive is gone', () => !existsSync(`${location}.part`))
})

const checkpointOf = ({ id }: Container): string => join(daemon().root, 'checkpoints', id)
const laidOut = (container: Container): string => join(checkpointOf(container), 'archive', 'rootfs-diff.tar')

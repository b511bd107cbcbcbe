import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { getExtendedAttribute } from '#linux/libc.ts'
import { createObjectLocks } from '#linux/object-lock.ts'
import { setXattr } from '#linux/overlay-files.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import type { CheckpointArchives } from '#runtime/checkpoint-port.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { type ImageLab, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import { createCheckpointArchives } from './checkpoint-archives.ts'

const never = new AbortController().signal
const description = {
  ...{ containerId: 'c1', containerName: 'web', handler: 'runc' },
  images: ['sha256:1', 'busybox'],
  ...{ createdAtNs: '1000000000', checkpointedAtNs: '2000000000' },
  ociSpec: {
    mounts: [
      { destination: '/data', type: 'bind' },
      { destination: '/proc', type: 'proc' },
    ],
  },
}

test('a container goes on with what it has written, changed and removed', async () => {
  await using lab = openImageLab()
  await using archives = open(lab)
  const image = await addImage(lab)
  const root = await lab.images.rootfs.mount('c1', image)
  writeFileSync(join(root, 'changed'), 'new')
  writeFileSync(join(root, 'etc/added'), 'x', { mode: 0o640 })
  execFileSync('chown', ['1000:70000', join(root, 'etc/added')])
  setXattr(join(root, 'etc/added'), 'user.note', Buffer.from('kept\xff', 'latin1'))
  rmSync(join(root, 'gone'))
  rmSync(join(root, 'replaced'), { recursive: true })
  mkdirSync(join(root, 'replaced'))
  writeFileSync(join(root, 'replaced/own'), 'x')
  symlinkSync('/etc/passwd', join(root, 'link'))
  const archive = await pack(lab, archives)
  expect(statSync(archive).mode & 0o777).toBe(0o600)

  const opened = await archives.open('c2', archive)
  expect(opened.images).toEqual(['sha256:1', 'busybox'])
  expect(opened.bindDestinations).toEqual(['/data'])
  expect(readFileSync(join(opened.imagesDirectory, 'core-1.img'), 'utf8')).toBe('core')
  const restored = await lab.images.rootfs.mount('c2', image, { written: opened.upperDirectory })
  await archives.remove('c2')

  expect(listing(restored)).toEqual(listing(root))
  expect(listing(restored)).toContain('./etc/added 640 1000 70000 regular file')
  expect(listing(restored)).not.toContain(expect.stringContaining('replaced/old'))
  expect(readFileSync(join(restored, 'changed'), 'utf8')).toBe('new')
  const note = getExtendedAttribute(join(restored, 'etc/added'), 'user.note')
  expect(note?.toString('latin1')).toBe('kept\xff')
})

test('the archive has the members that checkpointctl reads', async () => {
  await using lab = openImageLab()
  await using archives = open(lab)
  const root = await lab.images.rootfs.mount('c1', await addImage(lab))
  rmSync(join(root, 'gone'))
  const archive = await pack(lab, archives)

  const member = (name: string): string => execFileSync('tar', ['-xOf', archive, `./${name}`]).toString()
  expect(JSON.parse(member('config.dump'))).toEqual({
    ...{ id: 'c1', name: 'web', runtime: 'runc', restored: false },
    ...{ rootfsImage: 'busybox', rootfsImageRef: 'sha256:1', rootfsImageName: 'busybox' },
    ...{ createdTime: '1970-01-01T00:00:01.000Z', checkpointedTime: '1970-01-01T00:00:02.000Z' },
    restoredTime: '0001-01-01T00:00:00Z',
  })
  expect(JSON.parse(member('spec.dump'))).toEqual(description.ociSpec)
  expect(JSON.parse(member('deleted.files'))).toEqual(['/gone'])
  expect(member('checkpoint/core-1.img')).toBe('core')
})

test('an image made of an archive is a checkpoint, by its content', async () => {
  await using lab = openImageLab()
  await using archives = open(lab)
  const layer = [
    { name: 'config.dump', content: JSON.stringify({ rootfsImageName: 'busybox' }) },
    { name: 'spec.dump', content: '{}' },
    { name: 'checkpoint/core-1.img', content: 'core' },
    { name: 'rootfs-diff.tar', content: tarOf([{ name: 'written', content: 'x' }]) },
  ]
  const made = buildImage({ layers: [layer], config: {} })
  const id = await lab.images.store.add(imageSource(made, { tags: ['localhost/saved:1'] }), never)
  expect(archives.isCheckpoint(id)).toBe(true)
  expect(archives.isCheckpoint(await addImage(lab))).toBe(false)
  const linked = buildImage({
    layers: [[{ name: 'config.dump', type: 'symlink', linkName: '/proc/self/status' }]],
    config: {},
  })
  expect(archives.isCheckpoint(await lab.images.store.add(imageSource(linked, {}), never))).toBe(false)
  const opened = await archives.open('c2', 'localhost/saved:1')
  expect(opened.images).toEqual(['busybox'])
  expect(readdirSync(opened.upperDirectory)).toEqual(['written'])
  expect(readFileSync(join(opened.imagesDirectory, 'core-1.img'), 'utf8')).toBe('core')
})

test('an archive that cannot be written leaves nothing', async () => {
  await using lab = openImageLab()
  await using archives = open(lab)
  await lab.images.rootfs.mount('c1', await addImage(lab))
  const directories = await archives.prepare('c1')
  writeFileSync(join(directories.images, 'core-1.img'), 'core')
  const nowhere = join(lab.root, 'none', 'web.tar')
  await expect(archives.pack('c1', description, nowhere, never)).rejects.toThrow(
    `archive ${nowhere}: tar failed`,
  )
  mkdirSync(join(lab.root, 'directory.tar'))
  await expect(archives.pack('c1', description, join(lab.root, 'directory.tar'), never)).rejects.toThrow(
    'tar failed',
  )
  expect(existsSync(join(lab.root, 'directory.tar.part'))).toBe(false)
})

const broken: readonly (readonly [why: string, content: Buffer, says: string])[] = [
  ['is no tar', Buffer.alloc(1024, 'x'), 'checksum'],
  ['is empty', Buffer.alloc(0), 'no config.dump'],
  ['has no config.dump', tarOf([{ name: 'spec.dump', content: '{}' }]), 'no config.dump'],
  ['names no image', checkpointTar('{}'), 'names no image'],
  ['has an image that is a link', checkpointTar('{"rootfsImage":"x"}', 'link'), 'a symbolic-link'],
  ['leads out', checkpointTar('{"rootfsImage":"x"}', 'climbs'), 'leads out of the layer'],
]

test.for(broken)('an archive that %s is refused', async ([, content, says]) => {
  await using lab = openImageLab()
  await using archives = open(lab)
  const path = join(lab.root, 'broken.tar')
  writeFileSync(path, content)
  await expect(archives.open('c2', path)).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringMatching(new RegExp(`^checkpoint ${path}: .*${says}`)) as string,
  })
})

function checkpointTar(configDump: string, kind?: 'link' | 'climbs'): Buffer {
  return tarOf([
    { name: 'config.dump', content: configDump },
    { name: 'spec.dump', content: '{}' },
    ...(kind === 'link' ? [{ name: 'checkpoint/x', type: 'symlink', linkName: '/etc' } as const] : []),
    ...(kind === 'climbs' ? [{ name: 'checkpoint/../../x', content: 'x' }] : []),
  ])
}

const addImage = (lab: ImageLab): Promise<string> =>
  lab.images.store.add(
    imageSource(
      buildImage({
        layers: [
          [
            { name: 'changed', content: 'old' },
            { name: 'gone', content: 'x' },
            { name: 'etc/kept', content: 'x' },
            { name: 'replaced/old', content: 'x' },
          ],
        ],
      }),
      {},
    ),
    never,
  )

function open(lab: ImageLab): CheckpointArchives & AsyncDisposable {
  const watcher = new ProcessWatcher()
  const directory = join(lab.root, 'checkpoints')
  const archives = createCheckpointArchives({
    directory,
    store: lab.images,
    run: (command) => runCommand(watcher, command),
    lock: (id) => createObjectLocks(join(lab.root, 'locks')).hold(id),
  })
  return { ...archives, [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose]() }
}

async function pack(lab: ImageLab, archives: CheckpointArchives): Promise<string> {
  const { images } = await archives.prepare('c1')
  writeFileSync(join(images, 'core-1.img'), 'core')
  const archive = join(lab.root, 'web.tar')
  await archives.pack('c1', description, archive, never)
  await archives.remove('c1')
  expect(readdirSync(join(lab.root, 'checkpoints'))).toEqual([])
  expect(readdirSync(dirname(archive))).not.toContain('web.tar.part')
  return archive
}

const listing = (root: string): readonly string[] =>
  execFileSync('sh', ['-c', "find . | LC_ALL=C sort | xargs stat -c '%n %a %u %g %F'"], { cwd: root })
    .toString()
    .trim()
    .split('\n')

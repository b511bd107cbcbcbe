import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { getXattr, makeNode, setXattr } from '#linux/overlay-files.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'
import { copyTree, directoryInRoot } from './copy-tree.ts'

function temporaryRoot() {
  const home = mkdtempSync('/var/lib/cri-ts-copy-')
  mkdirSync(join(home, 'root'))
  return {
    root: join(home, 'root'),
    target: join(home, 'target'),
    [Symbol.dispose]: () => rmSync(home, { recursive: true }),
  }
}

/** Name, type, mode, owner, device, links and time of all below, as stat(1) says it. */
const listing = (directory: string): string =>
  execFileSync('sh', ['-c', 'find . -exec stat -c "%n %F %a %u:%g %t,%T %h %y" {} + | sort'], {
    cwd: directory,
    encoding: 'utf8',
  })

test('a tree is copied with owners, modes, times, links, devices and attributes', () => {
  using lab = temporaryRoot()
  const data = join(lab.root, 'data')
  mkdirSync(join(data, 'sub'), { recursive: true })
  writeFileSync(join(data, 'sub/program'), 'program')
  chownSync(join(data, 'sub/program'), 1000, 2000)
  chmodSync(join(data, 'sub/program'), 0o6755)
  const latin1 = (path: string): string => Buffer.from(path).toString('latin1')
  setXattr(
    latin1(join(data, 'sub/program')),
    'security.capability',
    Buffer.from('0100000200040000000000000000000000000000', 'hex'),
  )
  setXattr(latin1(join(data, 'sub')), 'user.note', Buffer.from('kept'))
  linkSync(join(data, 'sub/program'), join(data, 'again'))
  symlinkSync('/etc/passwd', join(data, 'link'))
  lchownSync(join(data, 'link'), 5, 6)
  makeNode(latin1(join(data, 'null')), 0o020666, 0x103)
  makeNode(latin1(join(data, 'pipe')), 0o010600, 0)
  writeFileSync(Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0xe4, 0xff])]), 'latin1')
  chownSync(data, 33, 34)
  chmodSync(data, 0o1770)
  utimesSync(join(data, 'sub'), 1, 2)
  utimesSync(data, 3, 1_000_000_000)

  copyTree(latin1(directoryInRoot(lab.root, '/data') ?? ''), latin1(lab.target))

  expect(listing(lab.target)).toBe(listing(data))
  expect(readFileSync(join(lab.target, 'again'), 'utf8')).toBe('program')
  expect(readlinkSync(join(lab.target, 'link'))).toBe('/etc/passwd')
  expect(getXattr(latin1(join(lab.target, 'sub/program')), 'security.capability')?.length).toBe(20)
  expect(getXattr(latin1(join(lab.target, 'sub')), 'user.note')?.toString()).toBe('kept')
})

test('links on the way stay inside the root, and a file is no volume', () => {
  using lab = temporaryRoot()
  symlinkSync('/../../../../../../etc', join(lab.root, 'out'))
  mkdirSync(join(lab.root, 'etc'))
  writeFileSync(join(lab.root, 'file'), '')
  expect(directoryInRoot(lab.root, '/out')).toBe(join(lab.root, 'etc'))
  expect(directoryInRoot(lab.root, '/missing/below')).toBeUndefined()
  expect(() => directoryInRoot(lab.root, '/file')).toThrow(
    'the image has a VOLUME at /file, and a file there',
  )
})

test("a volume of a container has what its image has there, and goes with the container's root file system", async () => {
  await using lab = openImageLab()
  const { rootfs, store } = lab.images
  const root: TarFile = { name: './', type: 'directory', mode: 0o700, uid: 100_000, gid: 100_000 }
  const layer = [root, { name: 'data/file', content: 'of the image', uid: 7 }]
  const id = await store.add(imageSource(buildImage({ layers: [layer] }), {}), never)
  await rootfs.mount('c1', id)
  const path = await rootfs.makeVolume('c1', 0, '/data')
  expect(readFileSync(join(path, 'file'), 'utf8')).toBe('of the image')
  expect(lstatSync(join(path, 'file')).uid).toBe(7)
  const empty = await rootfs.makeVolume('c1', 1, '/none')
  expect(readdirSync(empty)).toEqual([])
  expect(lstatSync(empty)).toMatchObject({ uid: 100_000, gid: 100_000, mode: 0o040755 })
  await expect(rootfs.makeVolume('c1', 2, '/data/file')).rejects.toMatchObject({
    kind: 'failed-precondition',
  })
  await lab.reopen()
  writeFileSync(join(path, 'kept'), '')
  await lab.images.rootfs.remove('c1')
  expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined()
})

test('holes stay holes, and what is between them is the same', () => {
  using lab = temporaryRoot()
  const [source, copy] = [join(lab.root, 'sparse'), join(lab.root, 'copy')]
  const data = Buffer.alloc(3 << 20, 'data')
  writeFileSync(source, 'begin')
  const fd = openSync(source, 'r+')
  writeSync(fd, data, 0, data.length, 64 << 20)
  ftruncateSync(fd, 2 ** 40)
  closeSync(fd)
  copyTree(source, copy)
  expect(statSync(copy)).toMatchObject({ size: 2 ** 40, blocks: statSync(source).blocks })
  const read = openSync(copy, 'r')
  const found = Buffer.alloc(data.length + 5)
  readSync(read, found, 0, 5, 0)
  readSync(read, found, 5, data.length, 64 << 20)
  closeSync(read)
  expect(found.equals(Buffer.concat([Buffer.from('begin'), data]))).toBe(true)
})

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mount, unmount } from '#linux/libc.ts'
import { makeNode, setXattr } from '#linux/overlay-files.ts'
import { digestOf } from '#test/fixtures/image.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import { headersFileOf } from './layer-headers.ts'
import { layerSink } from './layer-sink.ts'
import { verifyLayer } from './layer-tar.ts'

let home: string
let directory: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-comparison-')
  directory = join(home, 'layer')
})
afterEach(() => rmSync(home, { recursive: true }))

async function unpack(tar: Buffer): Promise<void> {
  using sink = layerSink({ directory, format: 'overlay', diffId: digestOf(tar), limits: { entries: 100 } })
  sink.push(tar)
  await sink.parsed()()
}
const verify = (tar: Buffer) =>
  verifyLayer({ directory, headersFile: headersFileOf(directory) }, digestOf(tar))
const at = (name: string): string => join(directory, name)

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const acl = Buffer.from(
  '02000000010006000000000002000600e8030000040004000000000010000600000000002000040000000000',
  'hex',
)
const tar = tarOf([
  { name: './', type: 'directory', mode: 0o751 },
  { name: 'bin/su', content: 'su', mode: 0o4755, uid: 1, gid: 2, pax: { mtime: '1600000000.123456789' } },
  { name: 'ping', content: 'ping', pax: { 'SCHILY.xattr.security.capability': capability } },
  { name: 'ping-too', type: 'link', linkName: 'ping' },
  { name: 'note', content: '', pax: { 'SCHILY.xattr.user.note': 'x', 'SCHILY.xattr.no.such': 'x' } },
  { name: 'acl', content: '', mode: 0o600, pax: { 'SCHILY.xattr.system.posix_acl_access': acl } },
  { name: 'link', type: 'symlink', linkName: 'ping', uid: 7 },
  { name: 'null', type: 'character-device', major: 1, minor: 3, mode: 0o666 },
  { name: 'disk', type: 'block-device', major: 259, minor: 300_000 },
  { name: 'pipe', type: 'fifo' },
  { name: 'f\xff', content: '' },
  { name: 'sticky/', type: 'directory', mode: 0o1777 },
  { name: 'sticky/.wh..wh..opq' },
  { name: '.wh.gone' },
  { name: 'far', content: '', pax: { mtime: '99999999999' } },
  { name: 'lost', type: 'link', linkName: 'below' },
])

test('a layer with all that a tar can say is sound', async () => {
  await unpack(tar)
  expect(await verify(tar)).toEqual([])
})

test.for<[what: string, damage: () => void, problem: RegExp]>([
  ['another mode', () => chmodSync(at('bin/su'), 0o755), /^bin\/su .* mode 0755, it should have 04755$/],
  ['another owner', () => chownSync(at('pipe'), 5, 0), /^pipe .* owner 5:0, it should have 0:0$/],
  ["a link's other owner", () => lchownSync(at('link'), 0, 0), /^link .* owner 0:0, it should have 7:0$/],
  ["the root directory's other mode", () => chmodSync(directory, 0o777), /^the root directory .* mode 0777/],
  ["an implied directory's other mode", () => chmodSync(at('bin'), 0o700), /^bin .* mode 0700/],
  ['another time', () => utimesSync(at('bin/su'), 1, 1), /^bin\/su .* another time/],
  [
    'a capability less',
    () => writeFileSync(at('ping'), 'ping'),
    /^ping(-too)? .* no .* security\.capability$/,
  ],
  [
    'a capability more',
    () => setXattr(at('bin/su'), 'security.capability', capability),
    /^bin\/su .* security\.capability, which is not/,
  ],
  [
    'an attribute with another value',
    () => setXattr(at('note'), 'user.note', Buffer.from('y')),
    /^note .*another/,
  ],
  [
    "overlayfs's mark more",
    () => setXattr(at('bin'), 'trusted.overlay.opaque', Buffer.from('y')),
    /^bin .*trusted\.overlay\.opaque, which is not/,
  ],
  [
    'a link elsewhere',
    () => {
      unlinkSync(at('link'))
      symlinkSync('/etc/shadow', at('link'))
      lchownSync(at('link'), 7, 0)
    },
    /^link .* leads to \/etc\/shadow$/,
  ],
  [
    'another device',
    () => {
      unlinkSync(at('null'))
      makeNode(at('null'), 0o20666, 0x101)
    },
    /^null .* is the device 257, it should be 259$/,
  ],
  [
    'a file in place of a fifo',
    () => {
      unlinkSync(at('pipe'))
      writeFileSync(at('pipe'), '')
    },
    /^pipe .* is a file, it should be a fifo$/,
  ],
  [
    'a file of its own in place of a hard link',
    () => {
      copyFileSync(at('ping'), at('copy'))
      unlinkSync(at('ping-too'))
      linkSync(at('copy'), at('ping-too'))
      unlinkSync(at('copy'))
    },
    /is no hard link of ping/,
  ],
  ['a whiteout that is gone', () => unlinkSync(at('gone')), /^gone in the layer is gone$/],
  [
    'a file more',
    () => writeFileSync(at('sticky/more'), ''),
    /^sticky\/more in the layer is not of its tar$/,
  ],
  [
    'what a lower layer was to give',
    () => writeFileSync(at('lost'), ''),
    /^lost in the layer is not of its tar$/,
  ],
])('%s is found', async ([, damage, problem]) => {
  await unpack(tar)
  damage()
  expect(await verify(tar)).toContainEqual(expect.stringMatching(problem))
})

test('data in the holes of a sparse file is found', async () => {
  const fd = openSync(join(home, 'holes'), 'w')
  for (const place of [1 << 20, 3 << 20]) writeSync(fd, 'data', place)
  ftruncateSync(fd, 1 << 30)
  closeSync(fd)
  const sparse = execFileSync('tar', ['--sparse', '-cf', '-', '-C', home, 'holes'])
  await unpack(sparse)
  expect(await verify(sparse)).toEqual([])
  const there = openSync(at('holes'), 'r+')
  writeSync(there, 'evil', 2 << 20)
  closeSync(there)
  expect(await verify(sparse)).toContain('holes in the layer has data where its holes were')
})

test('more than ten problems are not told', async () => {
  const many = tarOf(Array.from({ length: 30 }, (_, index) => ({ name: `f${index}`, content: '' })))
  await unpack(many)
  for (let index = 0; index < 30; index += 1) chmodSync(at(`f${index}`), 0o777)
  expect(await verify(many)).toHaveLength(10)
})

test('a file system that keeps only whole seconds is none', async () => {
  writeFileSync(join(home, 'disk'), '')
  truncateSync(join(home, 'disk'), 16 << 20)
  execFileSync('mkfs.ext4', ['-q', '-F', '-I', '128', join(home, 'disk')])
  const loop = execFileSync('losetup', ['--find', '--show', join(home, 'disk')], { encoding: 'utf8' }).trim()
  mkdirSync(join(home, 'mounted'))
  try {
    mount(loop, join(home, 'mounted'), 'ext4', 0)
    directory = join(home, 'mounted/layer')
    await unpack(tar)
    expect(await verify(tar)).toEqual([])
    expect(readFileSync(at('ping'), 'utf8')).toBe('ping')
  } finally {
    await unmount(join(home, 'mounted'))
    execFileSync('losetup', ['--detach', loop])
  }
})

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MS_BIND, mount, unmount } from './libc.ts'
import { removeTree } from './remove-tree.ts'

let home: string
let tree: string
beforeEach(() => {
  home = mkdtempSync('/dev/shm/cri-ts-remove-')
  tree = join(home, 'tree')
})
afterEach(() => rmSync(home, { recursive: true }))

/** Directories with files in each. */
function grow(directory: string, directories = 5, files = 20): void {
  for (let index = 0; index < directories; index += 1) {
    mkdirSync(join(directory, `d${index}`), { recursive: true })
    for (let file = 0; file < files; file += 1) writeFileSync(join(directory, `d${index}/${file}`), '')
  }
}

test('a tree goes with names of any bytes, but not what its links lead to; a file and nothing are fine', () => {
  grow(tree)
  mkdirSync(join(home, 'outside'))
  writeFileSync(join(home, 'outside/file'), '')
  symlinkSync(join(home, 'outside'), join(tree, 'link'))
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a, 0xfe])]), '')
  execFileSync('mkfifo', [join(tree, 'pipe')])
  removeTree(tree)
  removeTree(tree)
  symlinkSync(join(home, 'outside'), tree)
  removeTree(tree)
  expect(readdirSync(home)).toEqual(['outside'])
  expect(readdirSync(join(home, 'outside'))).toEqual(['file'])
})

test('it stops between two entries, and the next time goes on', () => {
  grow(tree)
  let entries = 0
  const stop = (): void => {
    entries += 1
    if (entries > 50) throw new Error('stopped')
  }
  expect(() => removeTree(tree, stop)).toThrow('stopped')
  const left = readdirSync(tree, { recursive: true }).length
  expect(left).toBeGreaterThan(40)
  expect(left).toBeLessThan(100)
  removeTree(tree)
  expect(existsSync(tree)).toBe(false)
})

test('no tree is too deep for it: 1,500 levels, three times longer than a path can be', () => {
  const name = 'x'.repeat(8)
  mkdirSync(tree)
  for (let level = 0; level < 1500; level += 1) {
    mkdirSync(join(home, 'above'))
    writeFileSync(join(home, 'above/file'), '')
    renameSync(tree, join(home, 'above', name))
    renameSync(join(home, 'above'), tree)
  }
  const fds = readdirSync('/proc/self/fd').length
  removeTree(tree)
  expect([existsSync(tree), readdirSync('/proc/self/fd').length]).toEqual([false, fds])
})

test('a directory of more directories than it remembers goes, too', () => {
  mkdirSync(tree)
  for (let index = 0; index < 10_100; index += 1) mkdirSync(`${tree}/${index}`)
  removeTree(tree)
  expect(existsSync(tree)).toBe(false)
})

test('what is mounted in it stays, is told, and all else goes', async () => {
  grow(tree)
  const [outside, point] = [join(home, 'outside'), join(tree, 'd1/mounted')]
  grow(outside, 1, 3)
  mkdirSync(point)
  mount(outside, point, '', MS_BIND)
  try {
    expect(() => removeTree(tree)).toThrow(/mounted: EXDEV/)
    expect(readdirSync(tree, { recursive: true })).toHaveLength(2 + 4)
    expect(readdirSync(join(outside, 'd0'))).toHaveLength(3)
  } finally {
    await unmount(point)
  }
  removeTree(tree)
  expect(existsSync(tree)).toBe(false)
})

test('what is immutable stays, is told, and all else goes', async () => {
  const disk = join(home, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, 8 << 20)
  execFileSync('mkfs.ext4', ['-q', '-F', disk])
  const loop = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim()
  mkdirSync(tree)
  try {
    mount(loop, tree, 'ext4', 0)
    const inside = join(tree, 'inside')
    grow(inside)
    execFileSync('chattr', ['+i', join(inside, 'd1/7'), join(inside, 'd3')])
    expect(() => removeTree(inside)).toThrow(/EPERM/)
    expect(readdirSync(join(inside, 'd1'))).toEqual(['7'])
    expect(readdirSync(inside).toSorted()).toEqual(['d1', 'd3'])
    execFileSync('chattr', ['-i', join(inside, 'd1/7'), join(inside, 'd3')])
    removeTree(inside)
    expect(existsSync(inside)).toBe(false)
  } finally {
    await unmount(tree)
    execFileSync('losetup', ['--detach', loop])
  }
})

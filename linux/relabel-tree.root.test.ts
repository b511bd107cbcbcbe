import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MS_RDONLY, mount, unmount } from './libc.ts'
import { relabelTree } from './relabel-tree.ts'
import { selinuxLabelOf, setSelinuxLabel } from './selinux-label.ts'

/** A kernel without SELinux keeps the labels for root, and takes any text. */
const label = 'system_u:object_r:container_file_t:s0:c1,c2'

let directory: string
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
})
afterEach(() => rmSync(directory, { recursive: true }))
const at = (name: string): string => join(directory, name)
const labelOf = (path: string): string | undefined => selinuxLabelOf(Buffer.from(path))

test('a directory and all below it have the label, links themselves and not where they lead', () => {
  mkdirSync(at('volume/a/b'), { recursive: true })
  writeFileSync(at('volume/a/file'), '')
  writeFileSync(at('outside'), '')
  symlinkSync('../outside', at('volume/link'))
  mkdirSync(at('other'))
  symlinkSync('../other', at('volume/directory-link'))
  execFileSync('mkfifo', [at('volume/pipe')])
  const odd = Buffer.concat([Buffer.from(at('volume/')), Buffer.of(0xff, 0xfe)])
  writeFileSync(odd, '')
  relabelTree(at('volume'), label)
  for (const name of ['', '/a', '/a/b', '/a/file', '/link', '/directory-link', '/pipe'])
    expect(labelOf(at(`volume${name}`)), name).toBe(label)
  expect(selinuxLabelOf(odd)).toBe(label)
  expect(labelOf(at('outside'))).toBeUndefined()
  expect(labelOf(at('other'))).toBeUndefined()
})

test('a single file is labelled', () => {
  writeFileSync(at('hosts'), '')
  relabelTree(at('hosts'), label)
  expect(labelOf(at('hosts'))).toBe(label)
})

test('what has the label is not written to', () => {
  mkdirSync(at('volume'))
  for (const name of ['right', 'wrong']) writeFileSync(at(`volume/${name}`), '')
  setSelinuxLabel(Buffer.from(at('volume/right')), label)
  const changed = (name: string): number => lstatSync(at(`volume/${name}`)).ctimeMs
  const before = [changed('right'), changed('wrong')]
  relabelTree(at('volume'), label)
  expect(changed('right')).toBe(before[0])
  expect(changed('wrong')).not.toBe(before[1])
})

test('the directory itself is the last', async () => {
  mkdirSync(at('volume/read-only'), { recursive: true })
  mount('tmpfs', at('volume/read-only'), 'tmpfs', MS_RDONLY)
  try {
    expect(() => relabelTree(at('volume'), label)).toThrow(
      expect.objectContaining({
        kind: 'failed-precondition',
        message: expect.stringMatching(`${at('volume/read-only')} can't have the SELinux label .*EROFS`),
      }),
    )
    expect(labelOf(at('volume'))).toBeUndefined()
  } finally {
    await unmount(at('volume/read-only'))
  }
})

test('what can have no labels stays as it is', async () => {
  mkdirSync(at('volume/kernel'), { recursive: true })
  mount('proc', at('volume/kernel'), 'proc', 0)
  try {
    expect(() => relabelTree(at('volume/kernel/sys/kernel/random'), label)).not.toThrow()
    expect(labelOf(at('volume/kernel/sys/kernel/random'))).toBeUndefined()
  } finally {
    await unmount(at('volume/kernel'))
  }
})

test('nobody leads out of it by changing directories to links meanwhile', async () => {
  mkdirSync(at('secret'))
  writeFileSync(at('secret/shadow'), '')
  mkdirSync(at('volume/a'), { recursive: true })
  for (let index = 0; index < 20; index += 1) mkdirSync(at(`volume/${index}`))
  const swap = 'while [ -e ../go ]; do mv -T a b; ln -s ../secret a; rm a; mv -T b a; done'
  writeFileSync(at('go'), '')
  const swapper = spawn('sh', ['-c', swap], { cwd: at('volume'), stdio: 'ignore' })
  const ended = once(swapper, 'exit')
  for (let round = 0; round < 300; round += 1) {
    relabelTree(at('volume'), `u:r:${round}:s0`)
    if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(swapper.exitCode).toBeNull()
  rmSync(at('go')) // It waits for its own programs, which could write here while this is removed.
  await ended
  expect(labelOf(at('secret'))).toBeUndefined()
  expect(labelOf(at('secret/shadow'))).toBeUndefined()
})

test('a tree that is too deep is told of, and takes no more file descriptors than that', () => {
  mkdirSync(at(`volume/${'d/'.repeat(1100)}`), { recursive: true })
  const open = readdirSync('/proc/self/fd').length
  expect(() => relabelTree(at('volume'), label)).toThrow(/lies deeper than 1024 directories/)
  expect(readdirSync('/proc/self/fd')).toHaveLength(open)
})

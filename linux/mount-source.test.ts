import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { propagationOf, resolveMountSource } from './mount-source.ts'

function temporaryDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'mount-source-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

test('links are followed to a file or a directory', () => {
  using root = temporaryDirectory()
  mkdirSync(join(root.path, 'real'))
  writeFileSync(join(root.path, 'real/file'), '')
  symlinkSync('real', join(root.path, 'link'))
  expect(resolveMountSource(join(root.path, 'link'))).toMatchObject({
    path: join(root.path, 'real'),
    kind: 'directory',
  })
  expect(resolveMountSource(join(root.path, 'link/file'))).toMatchObject({
    path: join(root.path, 'real/file'),
    kind: 'file',
  })
})

test('a missing path becomes a directory, with its parents', () => {
  using root = temporaryDirectory()
  const path = join(root.path, 'a/b/c')
  expect(resolveMountSource(path)).toMatchObject({ path, kind: 'directory' })
  expect(statSync(join(root.path, 'a')).mode & 0o777).toBe(0o755 & ~process.umask())
})

test('below a link a missing path is made where the link leads', () => {
  using root = temporaryDirectory()
  mkdirSync(join(root.path, 'real'))
  symlinkSync('real', join(root.path, 'link'))
  expect(resolveMountSource(join(root.path, 'link/new')).path).toBe(join(root.path, 'real/new'))
})

test('a link to nothing is refused by name, and nothing is made', () => {
  using root = temporaryDirectory()
  const link = join(root.path, 'link')
  symlinkSync('/nonexistent/target', link)
  expect(() => resolveMountSource(link)).toThrow(`${link} is a link to /nonexistent/target`)
  expect(() => resolveMountSource(join(link, 'below'))).toThrow('a link to nothing')
})

test.for([
  ['relative/path', 'is not absolute'],
  ['', 'is not absolute'],
  ['/dev/null/below', 'a part of it is not a directory'],
  [`/${'x'.repeat(300)}`, 'too long'],
] as const)('%j is refused: %s', ([path, reason]) => {
  expect(() => resolveMountSource(path)).toThrow(expect.objectContaining({ kind: 'invalid-argument' }))
  expect(() => resolveMountSource(path)).toThrow(reason)
})

test('a missing path that must exist is refused, and not made', () => {
  using root = temporaryDirectory()
  const path = join(root.path, 'missing')
  expect(() => resolveMountSource(path, { mustExist: true })).toThrow(`mount source ${path} does not exist`)
  expect(existsSync(path)).toBe(false)
  expect(resolveMountSource(root.path, { mustExist: true }).path).toBe(root.path)
})

test('links in a circle are refused', () => {
  using root = temporaryDirectory()
  symlinkSync('b', join(root.path, 'a'))
  symlinkSync('a', join(root.path, 'b'))
  expect(() => resolveMountSource(join(root.path, 'a'))).toThrow('circle')
})

const mountinfo = [
  '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '28 27 0:20 / /run rw shared:5 - tmpfs tmpfs rw',
  '29 28 0:21 / /run/user\\040one rw master:5 - tmpfs tmpfs rw',
  '30 28 0:22 / /run/both rw shared:7 master:5 - tmpfs tmpfs rw',
  '31 28 0:23 / /run/both rw - tmpfs tmpfs rw',
  '',
].join('\n')

test.for([
  ['/etc', 'private'],
  ['/running', 'private'],
  ['/run', 'shared'],
  ['/run/netns', 'shared'],
  ['/run/user one/x', 'slave'],
  ['/run/both/x', 'private'],
] as const)('%s lies on a %s mount', ([path, propagation]) => {
  expect(propagationOf(path, mountinfo)).toBe(propagation)
})

test('whatever mountinfo holds, there is an answer', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(['private', 'slave', 'shared']).toContain(propagationOf('/a', text))
    }),
  )
})

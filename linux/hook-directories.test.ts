import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHookDirectories } from './hook-directories.ts'
import { parseHookFile } from './hook-file.ts'

const program = '/bin/true'
const valid = { version: '1.0.0', hook: { path: program }, when: { always: true }, stages: ['poststop'] }
const parse = (over: object) => parseHookFile(JSON.stringify({ ...valid, ...over }))

function lab(...names: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), 'cri-ts-hooks-'))
  const directories = names.map((name) => join(root, name))
  const write = (path: string, over: object = {}): string => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), JSON.stringify({ ...valid, ...over }))
    return join(root, path)
  }
  return {
    root,
    write,
    hooks: createHookDirectories(directories),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  }
}

const withArgument = (argument: string) => ({ hook: { path: program, args: ['true', argument] } })

test('a file is read with its patterns', () => {
  const file = parse({
    hook: { path: program, args: ['true', '-v'], env: ['A=b'], timeout: 5 },
    when: { annotations: { '^a$': '(?i)yes' }, commands: ['sh$'], hasBindMounts: true, or: true },
    stages: ['prestart', 'poststop', 'prestart'],
  })
  expect(file).toEqual({
    hook: { path: program, args: ['true', '-v'], env: ['A=b'], timeout: 5 },
    stages: ['prestart', 'poststop'],
    when: { annotations: [[/^a$/u, /yes/iu]], commands: [/sh$/u], hasBindMounts: true, or: true },
  })
})

test.for<[object, string]>([
  [{ version: '0.1.0' }, 'version is not "1.0.0"'],
  [{ hook: { path: 'true' } }, 'hook.path is not an absolute path'],
  [{ hook: {} }, 'hook.path'],
  [{ hook: { path: program, env: ['A'] } }, 'hook.env[0] is not of the form NAME=value'],
  [{ hook: { path: program, timeout: 0 } }, 'hook.timeout'],
  [{ when: undefined }, 'when'],
  [{ when: { always: 'yes' } }, 'when.always'],
  [{ when: { commands: ['('] } }, 'when.commands[0] has "(", which is no regular expression'],
  [{ when: { annotations: { a: '[' } } }, 'when.annotations["a"] has "["'],
  [{ stages: [] }, 'stages is empty'],
  [{ stages: ['later'] }, 'stages[0]'],
  [{ stage: ['poststop'] }, 'the file Unrecognized key: "stage"'],
])('what is wrong is named by its key: %#', ([over, message]) => {
  expect(() => parse(over)).toThrow(message)
})

test('whatever a file holds, it is read or refused with a message', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(() => parseHookFile(text)).toThrow(/./)
    }),
  )
})

test('files are taken in the order of their names, a later directory going over an earlier', async () => {
  using it = lab('usr', 'etc', 'none')
  it.write('usr/20-b.json', withArgument('usr b'))
  it.write('usr/30-c.json', withArgument('usr c'))
  it.write('etc/20-b.json', withArgument('etc b'))
  it.write('etc/10-a.json', withArgument('etc a'))
  it.write('etc/README', { version: 'none' })
  const args = async () => (await it.hooks.files()).map(({ hook }) => hook.args?.[1])
  expect(await args()).toEqual(['etc a', 'etc b', 'usr c'])
  it.write('usr/30-c.json', withArgument('changed'))
  rmSync(join(it.root, 'etc/20-b.json'))
  expect(await args()).toEqual(['etc a', 'usr b', 'changed'])
})

test('without directories there are no hooks', async () => {
  expect(await createHookDirectories([]).files()).toEqual([])
})

test('a file that cannot be used fails by name, unless one of a later directory replaces it', async () => {
  using it = lab('usr', 'etc')
  const bad = it.write('usr/a.json', { stages: [] })
  await expect(it.hooks.files()).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(
      `runtime.hooks_dirs cannot be used: ${bad}: stages is empty: correct it`,
    ),
  })
  it.write('etc/a.json')
  expect(await it.hooks.files()).toHaveLength(1)
})

test('a program that is not there, or comes later, is noticed', async () => {
  using it = lab('etc')
  const missing = join(it.root, 'hook')
  const file = it.write('etc/a.json', { hook: { path: missing } })
  await expect(it.hooks.files()).rejects.toThrow(
    `${file}: hook.path is ${missing}, which cannot be looked at (ENOENT)`,
  )
  writeFileSync(missing, '#!/bin/sh\n')
  chmodSync(missing, 0o755)
  expect(await it.hooks.files()).toMatchObject([{ hook: { path: missing } }])
})

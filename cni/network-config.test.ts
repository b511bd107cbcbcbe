import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { readNetworkConfig } from './network-config.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cni-config-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const write = (file: string, content: unknown) =>
  writeFile(join(directory, file), typeof content === 'string' ? content : JSON.stringify(content))
const listOf = (name: string, ...types: string[]) => ({
  cniVersion: '1.0.0',
  name,
  plugins: types.map((type) => ({ type })),
})

describe('the network configuration', () => {
  test('is the first file by name, of the known endings', async () => {
    await write('00-notes.txt', 'not a network')
    await write('20-b.conflist', listOf('b', 'bridge'))
    await write('10-a.conflist', listOf('a', 'bridge', 'portmap'))
    await mkdir(join(directory, '05-directory.conflist'))
    expect(await readNetworkConfig(directory)).toEqual({
      name: 'a',
      cniVersion: '1.0.0',
      disableCheck: false,
      disableGC: false,
      plugins: [{ type: 'bridge' }, { type: 'portmap' }],
    })
  })

  test('may be a single plugin, whose fields are kept', async () => {
    const plugin = { cniVersion: '0.3.1', name: 'old', type: 'bridge', ipam: { type: 'host-local' } }
    await write('10-old.conf', plugin)
    expect(await readNetworkConfig(directory)).toMatchObject({
      name: 'old',
      cniVersion: '0.3.1',
      plugins: [plugin],
    })
  })

  test('takes the newest version offered that is spoken here', async () => {
    await write('a.conflist', {
      ...listOf('a', 'x'),
      cniVersion: '0.4.0',
      cniVersions: ['1.1.0', '2.0.0', '0.3.1'],
    })
    expect(await readNetworkConfig(directory)).toMatchObject({ cniVersion: '1.1.0' })
  })

  test('reads flags written as text, as libcni does', async () => {
    await write('a.conflist', { ...listOf('a', 'x'), disableCheck: 'true', disableGC: 'False' })
    expect(await readNetworkConfig(directory)).toMatchObject({ disableCheck: true, disableGC: false })
  })

  test('has the plugins of the network’s own directory too, unless told otherwise', async () => {
    await mkdir(join(directory, 'a'))
    await write('a/20-late.conf', { type: 'late' })
    await write('a/10-early.conf', { type: 'early' })
    await write('a.conflist', listOf('a', 'inlined'))
    const types = async () => (await readNetworkConfig(directory)).plugins.map(({ type }) => type)
    expect(await types()).toEqual(['inlined', 'early', 'late'])
    await write('a.conflist', { ...listOf('a', 'inlined'), loadOnlyInlinedPlugins: true })
    expect(await types()).toEqual(['inlined'])
  })

  test('is found when the directory comes, changes and is replaced', async () => {
    const confDir = join(directory, 'net.d')
    await expect(readNetworkConfig(confDir)).rejects.toThrow('it is empty or does not exist')
    await mkdir(confDir)
    await write('net.d/10-a.conflist', listOf('a', 'x'))
    expect((await readNetworkConfig(confDir)).name).toBe('a')
    await write('net.d/10-a.conflist', listOf('c', 'x'))
    expect((await readNetworkConfig(confDir)).name).toBe('c')
    await mkdir(join(directory, 'next'))
    await write('next/10-a.conflist', listOf('d', 'x'))
    await rm(confDir, { recursive: true })
    await rename(join(directory, 'next'), confDir)
    expect((await readNetworkConfig(confDir)).name).toBe('d')
  })
})

describe('without a usable configuration the message', () => {
  test('names the directory and the files that are none', async () => {
    await write('README', '')
    await expect(readNetworkConfig(directory)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining(`no network configuration in ${directory} (files seen: README)`),
    })
  })

  test('names every file and what is wrong with it; a valid second one is not taken instead', async () => {
    await write('10-broken.conflist', '{"name": "a",')
    await write('20-good.conflist', listOf('b', 'bridge'))
    await write('30-typeless.conf', { name: 'c', cniVersion: '1.0.0' })
    const message = await readNetworkConfig(directory).catch(describeError)
    expect(message).toContain(`the network configuration in ${directory} cannot be used`)
    expect(message).toMatch(/10-broken\.conflist: .*JSON/)
    expect(message).not.toMatch(/JSON.*JSON/)
    expect(message).toContain('20-good.conflist: valid')
    expect(message).toMatch(/30-typeless\.conf: type: /)
  })

  test.for<[string, object, string]>([
    ['a.conflist', { cniVersion: '1.0.0', plugins: [{ type: 'x' }] }, 'name: '],
    ['a.conflist', { ...listOf('../a', 'x') }, 'name: must be letters'],
    ['a.conflist', { ...listOf('a') }, 'plugins: it lists none'],
    ['a.conflist', { ...listOf('a', '../../bin/sh') }, 'plugins.0.type: must be the file name of a plugin'],
    [
      'a.conflist',
      { ...listOf('a', 'x'), cniVersion: '0.2.0' },
      'cniVersion: 0.2.0; those spoken here are 0.3.0',
    ],
    ['a.conflist', { ...listOf('a', 'x'), cniVersion: undefined }, 'cniVersion: missing'],
    ['a.conflist', { ...listOf('a', 'x'), disableGC: 'yes' }, 'disableGC: '],
    ['a.conf', listOf('a', 'x'), 'it is a list of plugins: name it *.conflist'],
    ['a.json', [], 'expected object'],
  ])('%s %j: %s', async ([file, content, message]) => {
    await write(file, content)
    await expect(readNetworkConfig(directory)).rejects.toThrow(message)
  })

  test('says that a file is too large to be one', async () => {
    await write('a.conflist', ' '.repeat(3 << 20))
    await expect(readNetworkConfig(directory)).rejects.toThrow('it is larger than 2 MiB')
  })
})

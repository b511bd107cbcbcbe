import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CdiDirectories } from './cdi-directories.ts'

function lab() {
  const root = mkdtempSync(join(tmpdir(), 'cri-ts-cdi-'))
  const directories = ['etc', 'run'].map((name) => join(root, name))
  const write = (path: string, devices: readonly object[], more: object = {}): string => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    const file = join(root, path)
    writeFileSync(`${file}.new`, JSON.stringify({ cdiVersion: '0.8.0', kind: 'v.com/gpu', devices, ...more }))
    renameSync(`${file}.new`, file)
    return file
  }
  return {
    root,
    write,
    cdi: new CdiDirectories(directories),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  }
}

const says = (name: string, value: string) => ({ name, containerEdits: { env: [`SAYS=${value}`] } })
const refusal = (message: string) =>
  expect.objectContaining({ kind: 'failed-precondition', message: expect.stringContaining(message) })

test('the edits of a file come once, before those of its devices', async () => {
  using it = lab()
  it.write('etc/a.json', [says('0', 'zero'), says('1', 'one')], { containerEdits: { env: ['ALL=yes'] } })
  it.write('etc/b.json', [says('b', 'b')], { kind: 'other.com/nic' })
  const edits = await it.cdi.edits(['v.com/gpu=1', 'other.com/nic=b', 'v.com/gpu=0'])
  expect(edits.map(({ env }) => env)).toEqual([['ALL=yes'], ['SAYS=one'], [], ['SAYS=b'], ['SAYS=zero']])
})

test('a later directory goes over an earlier one, and files that come, change and go are noticed', async () => {
  using it = lab()
  const value = async () => (await it.cdi.edits(['v.com/gpu=0'])).at(-1)?.env
  await expect(value()).rejects.toThrow(refusal('CDI device v.com/gpu=0 is defined by no file of'))
  it.write('etc/a.json', [says('0', 'etc')])
  expect(await value()).toEqual(['SAYS=etc'])
  const over = it.write('run/a.yaml', [says('0', 'run')])
  expect(await value()).toEqual(['SAYS=run'])
  it.write('run/a.yaml', [says('0', 'new')])
  expect(await value()).toEqual(['SAYS=new'])
  rmSync(over)
  expect(await value()).toEqual(['SAYS=etc'])
})

test('a device defined twice in one directory is none, and the message names both files', async () => {
  using it = lab()
  it.write('etc/a.json', [says('0', 'etc')])
  const files = ['run/a.json', 'run/b.json'].map((path) =>
    it.write(path, [says('0', path), says(path.slice(4, 5), '')]),
  )
  await expect(it.cdi.edits(['v.com/gpu=0'])).rejects.toThrow(
    refusal(`defined by ${files[0]} and by ${files[1]}`),
  )
  expect(await it.cdi.edits(['v.com/gpu=a', 'v.com/gpu=b'])).toHaveLength(4)
})

test('a bad file spoils no other, and is named where a device is missing, with those there are', async () => {
  using it = lab()
  it.write('etc/good.json', [says('0', 'x')])
  it.write('etc/ignored.yml', [says('9', 'x')])
  const bad = it.write('etc/bad.json', [])
  expect(await it.cdi.edits(['v.com/gpu=0'])).toHaveLength(2)
  const failed = it.cdi.edits(['v.com/gpu=0', 'v.com/gpu=9', 'w.com/x=y'])
  await expect(failed).rejects.toThrow(refusal('CDI device v.com/gpu=9, w.com/x=y is defined by no file'))
  await expect(failed).rejects.toThrow(
    `defined are v.com/gpu=0; these cannot be used: ${bad}: devices is empty`,
  )
})

test('device nodes are completed from the host, or taken as they are written', async () => {
  using it = lab()
  const node = (over: object) => ({ name: 'n', containerEdits: { deviceNodes: [over] } })
  const devicesOf = async (over: object) => {
    it.write('etc/a.json', [node(over)])
    return (await it.cdi.edits(['v.com/gpu=n'])).at(-1)?.devices
  }
  expect(await devicesOf({ path: '/dev/nothing', hostPath: '/dev/null' })).toEqual([
    { path: '/dev/nothing', type: 'c', major: 1, minor: 3, mode: 0o666, permissions: 'rwm' },
  ])
  const written = { path: '/dev/none', type: 'b', major: 7, minor: 1, uid: 5, gid: 6, permissions: 'r' }
  expect(await devicesOf(written)).toEqual([written])
  expect(await devicesOf({ path: '/dev/null', permissions: 'none', fileMode: 0o600 })).toMatchObject([
    { mode: 0o600, permissions: '' },
  ])
  expect(await devicesOf({ path: '/dev/pipe', type: 'p' })).toEqual([
    { path: '/dev/pipe', type: 'p', permissions: 'rwm' },
  ])
  await expect(devicesOf({ path: '/dev/no-such' })).rejects.toThrow(
    refusal('/dev/no-such cannot be looked at (ENOENT)'),
  )
  await expect(devicesOf({ path: '/dev/null', type: 'b' })).rejects.toThrow(
    refusal('is of type c on this host, not b'),
  )
  await expect(devicesOf({ path: '/etc' })).rejects.toThrow(refusal('device node /etc is no device node'))
})

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SandboxFiles } from '#runtime/ports.ts'
import { createSandboxFiles } from './sandbox-files.ts'
import { selinuxLabelOf } from './selinux-label.ts'

let directory: string
let files: SandboxFiles
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  files = createSandboxFiles(directory)
})
afterEach(async () => {
  await files.remove('a')
  rmSync(directory, { recursive: true })
})
const at = (name: string): string => join(directory, 'a', name)
const dns = { servers: ['10.0.0.10', '::1'], searches: ['svc.test', 'test'], options: ['ndots:5'] }
const plain = { hostname: '', dns: undefined, shmSizeBytes: undefined, initRootfs: false }

test("a pod's files are what it asked for", async () => {
  await files.create('a', { hostname: 'pod', dns, shmSizeBytes: 1 << 20, initRootfs: true })
  expect(readFileSync(at('hostname'), 'utf8')).toBe('pod\n')
  expect(readFileSync(at('resolv.conf'), 'utf8')).toBe(
    'search svc.test test\nnameserver 10.0.0.10\nnameserver ::1\noptions ndots:5\n',
  )
  expect(readFileSync(at('hosts'), 'utf8')).toBe(readFileSync('/etc/hosts', 'utf8'))
  expect(readdirSync(at('init-rootfs'))).toEqual([])
})

test("without a wish they are the host's", async () => {
  await files.create('a', plain)
  expect(readFileSync(at('hostname'), 'utf8')).toBe(`${hostname()}\n`)
  const ofHost = existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : ''
  expect(readFileSync(at('resolv.conf'), 'utf8')).toBe(ofHost)
  expect(existsSync(at('shm'))).toBe(false)
})

test('its /dev/shm is a tmpfs of that size, which a removal takes with what is in it', async () => {
  await files.create('a', { ...plain, shmSizeBytes: 1 << 20 })
  const { type, bsize, blocks } = statfsSync(at('shm'))
  expect([type, bsize * blocks, statSync(at('shm')).mode & 0o7777]).toEqual([0x01021994, 1 << 20, 0o1777])
  writeFileSync(at('shm/file'), 'x')
  expect(() => writeFileSync(at('shm/big'), Buffer.alloc(2 << 20))).toThrow('ENOSPC')
  await files.remove('a')
  await files.remove('a')
  expect(readdirSync(directory)).toEqual([])
})

test('what files are left of is known, also before there were any', async () => {
  expect(createSandboxFiles(at('none')).leftovers()).toEqual([])
  await files.create('a', plain)
  expect(files.leftovers()).toEqual(['a'])
  await files.remove('a')
  expect(files.leftovers()).toEqual([])
})

test('with SELinux every file of the pod and its /dev/shm have the label', async () => {
  const selinuxLabel = 'system_u:object_r:container_file_t:s0'
  await files.create('a', { ...plain, shmSizeBytes: 1 << 20, initRootfs: true, selinuxLabel })
  for (const name of ['hosts', 'hostname', 'resolv.conf', 'shm', 'init-rootfs'])
    expect(selinuxLabelOf(Buffer.from(at(name))), name).toBe(selinuxLabel)
})

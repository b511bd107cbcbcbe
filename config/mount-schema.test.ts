import { expect, test } from 'vitest'
import { z } from 'zod'
import { mountKeys, mountSettings } from './mount-schema.ts'

const schema = z.strictObject(mountKeys)
const load = (table: object) => mountSettings(schema.parse(table))

test('what nobody has configured is what containerd does', () => {
  expect(load({})).toEqual({
    ...{ shmSizeBytes: 64 << 20, imageVolumes: 'copy', absentSourcesToReject: [], defaults: [] },
  })
})

test('default mounts are bind mounts, and a tmpfs has no devices and no other users', () => {
  const { defaults, absentSourcesToReject } = load({
    absent_mount_sources_to_reject: ['/etc/hostname/'],
    default_mounts: [
      { source: '/etc/pki/', destination: '/etc/pki/', options: ['ro', 'noexec'] },
      { destination: '/run', type: 'tmpfs', options: ['size=65536k', 'mode=0755', 'noexec'] },
    ],
  })
  expect(absentSourcesToReject).toEqual(['/etc/hostname'])
  expect(defaults).toEqual([
    { source: '/etc/pki/', destination: '/etc/pki', type: 'bind', options: ['ro', 'noexec'] },
    {
      ...{ source: '', destination: '/run', type: 'tmpfs' },
      options: ['nosuid', 'nodev', 'size=65536k', 'mode=0755', 'noexec'],
    },
  ])
})

test.for([
  { destination: 'data', source: '/a' },
  { destination: '/', source: '/a' },
  { destination: '/dev/shm/', type: 'tmpfs' },
  { destination: '/etc/../proc', type: 'tmpfs' },
  { destination: '/data' },
  { destination: '/data', type: 'tmpfs', source: '/a' },
  { destination: '/data', type: 'nfs', source: '/a' },
  { destination: '/data', source: '/a', options: ['size=1m'] },
  { destination: '/data', source: '/a', options: ['rshared'] },
  { destination: '/data', type: 'tmpfs', options: ['mode=999'] },
  { destination: '/data', source: '/a', selinux: true },
])('default mount %o is refused', (mount) => {
  expect(schema.safeParse({ default_mounts: [mount] }).success).toBe(false)
})

test('two default mounts at one place are refused', () => {
  const twice = ['/data', '/data/'].map((destination) => ({ destination, type: 'tmpfs' }))
  expect(schema.safeParse({ default_mounts: twice }).success).toBe(false)
})

test.for(['0', '-1Mi', 'much', '', '1e30'])('shm_size %j is refused', (shm_size) => {
  expect(schema.safeParse({ shm_size }).success).toBe(false)
})

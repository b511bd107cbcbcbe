import { expect, test } from 'vitest'
import { keptXattrs } from './entry-attributes.ts'

test('kept attributes hold no more memory than their own', () => {
  const header = Buffer.alloc(1 << 20, 'x')
  const xattrs = new Map([
    ['user.a', header.subarray(5, 7)],
    ['user.b', header.subarray(100, 110)],
    ['user.empty', header.subarray(0, 0)],
    ['security.selinux', header.subarray(0, 1000)],
  ])
  const kept = keptXattrs({ xattrs })
  expect([...kept.xattrs].map(([name, value]) => [name, value.toString()])).toEqual([
    ['user.a', 'xx'],
    ['user.b', 'xxxxxxxxxx'],
    ['user.empty', ''],
  ])
  for (const value of kept.xattrs.values()) expect(value.buffer.byteLength).toBe(12)
})

test('the names of attributes count as well as their values', () => {
  const sizeOf = (name: string, value: string) =>
    keptXattrs({ xattrs: new Map([[name, Buffer.from(value)]]) }).sizeBytes
  expect(sizeOf('user.a', '')).toBeGreaterThan(6)
  expect(sizeOf(`user.${'x'.repeat(1000)}`, '')).toBe(sizeOf('user.', '') + 1000)
  expect(sizeOf('user.a', 'x'.repeat(1000))).toBe(sizeOf('user.a', '') + 1000)
})

import { expect, test } from 'vitest'
import { pinnedBy } from './pinned-images.ts'

const digest = `sha256:${'a'.repeat(64)}`
const names = ['registry.example/base/os:12', `registry.example/base/os@${digest}`]

test.for([
  [[], false],
  [['registry.example/base/os:12'], true],
  [['registry.example/base/os:1'], false],
  [['registry.example/base/os'], false],
  [[`registry.example/base/os@${digest}`], true],
  [['registry.example/base/*'], true],
  [['registry.example/b'], false],
  [['*/os:12'], true],
  [['*/os:1'], false],
  [['*base*'], true],
  [['*Base*'], false],
  [['registry.*:12'], true],
  [['registryXexample/*'], false],
  [['other', '*'], true],
] as const)('%j pins: %s', ([patterns, expected]) => {
  expect(pinnedBy(patterns)(names)).toBe(expected)
})

test('a short name is the full one of its reference', () => {
  expect(pinnedBy(['busybox'])(['docker.io/library/busybox:latest'])).toBe(true)
})

test('dots and other signs of regular expressions are themselves', () => {
  expect(pinnedBy(['a.b/c+*'])(['aXb/c:1'])).toBe(false)
  expect(pinnedBy(['(a|b)*'])(['a'])).toBe(false)
})

test('what is neither a pattern nor a reference is refused by name', () => {
  expect(() => pinnedBy(['UPPER'])).toThrow('image.pinned_images names "UPPER"')
})

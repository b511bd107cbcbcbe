import { expect, test } from 'vitest'
import { describePlatform, hostPlatform, parsePlatform, suitability } from './platform.ts'

const platform = (text: string) => {
  const [os = '', architecture = '', variant = ''] = text.split('/')
  return { os, architecture, variant }
}

test.for([
  ['x64', 'linux/amd64'],
  ['arm64', 'linux/arm64/v8'],
  ['ia32', 'linux/386'],
  ['ppc64', 'linux/ppc64le'],
  ['s390x', 'linux/s390x'],
  ['riscv64', 'linux/riscv64'],
] as const)("Node's %s is %s", ([node, expected]) => {
  expect(describePlatform(hostPlatform(node))).toBe(expected)
})

test.for([
  ['x64', ['linux/amd64/v1', 'linux/amd64'], ['linux/amd64', 'linux/amd64/v1']],
  ['arm64', ['linux/arm64', 'linux/arm64/v8'], ['linux/arm64/v8', 'linux/arm64']],
  ['arm', ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']],
  ['x64', ['linux/amd64/v3', 'windows/amd64', 'linux/arm64', 'unknown/unknown'], []],
] as const)('a %s host takes of %j, in this order: %j', ([node, offered, expected]) => {
  const rank = (text: string) => suitability(platform(text), [hostPlatform(node)])
  const suiting = offered.filter((text) => rank(text) !== undefined)
  expect(suiting.toSorted((a, b) => (rank(a) ?? 0) - (rank(b) ?? 0))).toEqual(expected)
})

test('of several wanted platforms the first goes before all variants of the next', () => {
  const wanted = ['linux/arm/v7', 'linux/amd64', 'linux/arm64'].map(parsePlatform)
  const offered = [
    'linux/arm64/v8',
    'linux/amd64/v1',
    'linux/s390x',
    'linux/arm/v5',
    'linux/amd64',
    'linux/arm64',
  ]
  const rank = (text: string) => suitability(platform(text), wanted)
  expect(
    offered.filter((text) => rank(text) !== undefined).toSorted((a, b) => (rank(a) ?? 0) - (rank(b) ?? 0)),
  ).toEqual(['linux/arm/v5', 'linux/amd64', 'linux/amd64/v1', 'linux/arm64/v8', 'linux/arm64'])
})

test.for([
  ['linux/amd64', { os: 'linux', architecture: 'amd64', variant: '' }],
  ['linux/arm64', { os: 'linux', architecture: 'arm64', variant: 'v8' }],
  ['linux/amd64/v3', { os: 'linux', architecture: 'amd64', variant: 'v3' }],
] as const)('%s is a platform', ([text, expected]) => {
  expect(parsePlatform(text)).toEqual(expected)
})

test.for(['', 'linux', 'linux/', '/amd64', 'linux/arm/', 'linux/arm/v7/x'])('"%s" is none', (text) => {
  expect(() => parsePlatform(text)).toThrow(`"${text}" is not a platform`)
})

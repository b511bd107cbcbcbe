import { expect, test } from 'vitest'
import { convertMountOptions } from './convert-mount-options.ts'

const convert = (...options: string[]) => convertMountOptions(options, 'mounts[0].mount_options')

test('what restricts a mount, also with all below it, is passed on once', () => {
  expect(convert('noexec', 'nodev', 'nosuid', 'noexec', 'noatime', 'rnoexec')).toEqual([
    ...['noexec', 'nodev', 'nosuid', 'noatime', 'rnoexec'],
  ])
  expect(convert()).toEqual([])
})

test.for([
  ['noexce', 'has "noexce" (did you mean noexec?)'],
  ['size=1g', 'has "size=1g": it may have noexec, nosuid'],
  ['', 'has ""'],
  ['toString', 'has "toString": it may have'],
  ['ro', 'set readonly'],
  ['rro', 'set recursive_read_only'],
  ['rshared', 'set propagation'],
  ['bind', 'every mount of a host path is one'],
  ['exec', 'it would lift what the host forbids'],
] as const)('%j is refused by name: %s', ([option, says]) => {
  expect(() => convert('nodev', option)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(says) }),
  )
})

test('of what says the opposite of each other one must be chosen', () => {
  expect(() => convert('relatime', 'noatime')).toThrow(
    'has noatime and relatime, which contradict each other',
  )
})

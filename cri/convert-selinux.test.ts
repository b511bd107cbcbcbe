import { expect, test } from 'vitest'
import { convertSelinux } from './convert-selinux.ts'

const nothing = { user: '', role: '', type: '', level: '' }
const convert = (over: Partial<typeof nothing>) => convertSelinux({ ...nothing, ...over }, 'selinux_options')

test('what asks for nothing is nothing', () => {
  expect(convert({})).toBeUndefined()
  expect(convertSelinux(undefined, 'selinux_options')).toBeUndefined()
})

test.for([
  { type: 'spc_t', level: 's0' },
  { user: 'system_u', role: 'system_r', type: 'container_t', level: 's0:c1,c2' },
  { level: 's0:c0.c1023' },
  { level: 's0-s15:c0.c1023' },
  { level: 's0:c1-s3:c1,c4.c7' },
])('%o is taken', (options) => {
  expect(convert(options)).toEqual({ ...nothing, ...options })
})

test.for([
  [{ type: 'spc t' }, 'selinux_options.type is "spc t": it is no SELinux type'],
  [{ user: 'u:r' }, 'selinux_options.user is "u:r"'],
  [{ role: '../x' }, 'selinux_options.role is "../x"'],
  [{ level: 'c1,c2' }, 'selinux_options.level is "c1,c2": it is no SELinux level, such as s0:c1,c2'],
  [{ level: 's0:' }, 'selinux_options.level'],
] as const)('%o is refused by name', ([options, message]) => {
  expect(() => convert(options)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

import { expect, test } from 'vitest'
import { checkSelinux } from './convert-selinux.ts'

const nothing = { user: '', role: '', type: '', level: '' }
const check = (over: Partial<typeof nothing>, selinux = false, privileged = false) =>
  checkSelinux({ ...nothing, ...over }, 'selinux_options', { privileged, host: { selinux } })

test.for([
  {},
  { type: 'spc_t', level: 's0' },
  { user: 'system_u', role: 'system_r', type: 'container_t', level: 's0:c1,c2' },
  { level: 's0:c0.c1023' },
  { level: 's0-s15:c0.c1023' },
  { level: 's0:c1-s3:c1,c4.c7' },
])('%o is passed over on a host without SELinux', (options) => {
  expect(() => check(options)).not.toThrow()
})

test.for([
  [{ type: 'spc t' }, 'selinux_options.type is "spc t": it is no SELinux type'],
  [{ user: 'u:r' }, 'selinux_options.user is "u:r"'],
  [{ role: '../x' }, 'selinux_options.role is "../x"'],
  [{ level: 'c1,c2' }, 'selinux_options.level is "c1,c2": it is no SELinux level, such as s0:c1,c2'],
  [{ level: 's0:' }, 'selinux_options.level'],
] as const)('%o is refused by name, there too', ([options, message]) => {
  expect(() => check(options)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test('on a host with SELinux a context is refused, unless nothing is asked or the container is privileged', () => {
  expect(() => check({ type: 'container_t' }, true)).toThrow(
    expect.objectContaining({
      kind: 'unimplemented',
      message: expect.stringContaining('selinux_options: SELinux context ::container_t:'),
    }),
  )
  expect(() => check({}, true)).not.toThrow()
  expect(() => check({ type: 'container_t' }, true, true)).not.toThrow()
})

import { describe, expect, test } from 'vitest'
import { LinuxContainerSecurityContext } from '#proto/gen/runtime/v1/api.ts'
import { convertAppArmor, convertSeccomp } from './convert-confinement.ts'

const unsaid = LinuxContainerSecurityContext.decode(new Uint8Array())
const RUNTIME_DEFAULT = 0
const UNCONFINED = 1
const LOCALHOST = 2
const profile = (profileType: number, localhostRef = '') => ({ profileType, localhostRef })

const seccomp = (of: object) => convertSeccomp({ ...unsaid, ...of })
const apparmor = (of: object) => convertAppArmor({ ...unsaid, ...of })

describe('a profile is asked for', () => {
  test('by its type', () => {
    expect(seccomp({ seccomp: profile(RUNTIME_DEFAULT) })).toEqual({ type: 'RuntimeDefault' })
    expect(apparmor({ apparmor: profile(UNCONFINED) })).toEqual({ type: 'Unconfined' })
    expect(seccomp({})).toBeUndefined()
    expect(apparmor({})).toBeUndefined()
  })

  test('by a reference, with the prefix of the old field or without', () => {
    const file = { type: 'Localhost', reference: '/var/lib/kubelet/seccomp/a.json' }
    expect(seccomp({ seccomp: profile(LOCALHOST, '/var/lib/kubelet/seccomp/a.json') })).toEqual(file)
    expect(
      seccomp({ seccomp: profile(LOCALHOST, 'localhost//var/lib/kubelet/seccomp/b/../a.json') }),
    ).toEqual(file)
    expect(apparmor({ apparmor: profile(LOCALHOST, 'localhost/mine') })).toEqual({
      type: 'Localhost',
      reference: 'mine',
    })
  })

  test.for([
    ['runtime/default', { type: 'RuntimeDefault' }],
    ['docker/default', { type: 'RuntimeDefault' }],
    ['unconfined', { type: 'Unconfined' }],
    ['localhost//a.json', { type: 'Localhost', reference: '/a.json' }],
    ['', undefined],
  ] as const)('by the deprecated string %s', ([text, expected]) => {
    expect(seccomp({ seccompProfilePath: text })).toEqual(expected)
    expect(apparmor({ apparmorProfile: text })).toEqual(expected)
  })

  test('by the new field where both are set', () => {
    expect(seccomp({ seccomp: profile(UNCONFINED), seccompProfilePath: 'runtime/default' })).toEqual({
      type: 'Unconfined',
    })
    expect(apparmor({ apparmor: profile(LOCALHOST, 'new'), apparmorProfile: 'localhost/old' })).toEqual({
      type: 'Localhost',
      reference: 'new',
    })
  })
})

test.for<[convert: () => unknown, message: string]>([
  [() => seccomp({ seccomp: profile(3) }), 'seccomp.profile_type is 3'],
  [
    () => seccomp({ seccomp: profile(UNCONFINED, '/x') }),
    'seccomp.localhost_ref is /x, but the profile type is Unconfined',
  ],
  [
    () => seccomp({ seccomp: profile(LOCALHOST) }),
    'seccomp.localhost_ref is "": it must be the absolute path',
  ],
  [() => seccomp({ seccomp: profile(LOCALHOST, 'a.json') }), 'seccomp.localhost_ref is "a.json"'],
  [() => seccomp({ seccompProfilePath: 'localhost/a.json' }), 'seccomp_profile_path is "a.json"'],
  [
    () => seccomp({ seccompProfilePath: 'default' }),
    'seccomp_profile_path is default: it may be runtime/default',
  ],
  [() => apparmor({ apparmor: profile(3) }), 'apparmor.profile_type is 3'],
  [() => apparmor({ apparmor: profile(RUNTIME_DEFAULT, 'x') }), 'apparmor.localhost_ref is x'],
  [() => apparmor({ apparmor: profile(LOCALHOST) }), 'apparmor.localhost_ref is "": it must be the name'],
  [() => apparmor({ apparmorProfile: 'localhost/a b' }), 'apparmor_profile is "a b"'],
  [() => apparmor({ apparmorProfile: 'mine' }), 'apparmor_profile is mine'],
])('a wrong one is named: %#', ([convert, message]) => {
  expect(convert).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

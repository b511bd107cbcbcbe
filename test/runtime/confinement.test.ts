import { describe, expect, test } from 'vitest'
import type { ConfinementSettings } from '#runtime/confinement.ts'
import { apparmorProfileOf, seccompProfileOf } from '#runtime/confinement.ts'
import { sampleHost } from '#runtime/oci-spec/sample-input.ts'
import type { SecurityProfile } from '#runtime/pod-sandbox/record.ts'
import type { RuntimeContext } from '#runtime/runtime-context.ts'
import { sampleHandler } from '#runtime/sample-handler.ts'
import { defaultSeccompProfile } from '#runtime/seccomp/default-profile.ts'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { fakePorts } from '#test/fakes/fake-ports.ts'

const settings: ConfinementSettings = {
  unsetSeccomp: { type: 'Unconfined' },
  privilegedSeccomp: { type: 'Unconfined' },
  apparmorProfile: undefined,
  restoresImages: false,
}
const runtimeDefault: SecurityProfile = { type: 'RuntimeDefault' }
const unconfined: SecurityProfile = { type: 'Unconfined' }
const localhost = (reference: string): SecurityProfile => ({ type: 'Localhost', reference })
const DENY_MKDIR = JSON.stringify({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO' }],
})

function lab(
  confinement: Partial<ConfinementSettings> = {},
  handler: Parameters<typeof sampleHandler> = ['runc'],
) {
  const fakeHost = new FakeHost()
  fakeHost.textFiles.set('/profiles/mkdir.json', DENY_MKDIR)
  const context = {
    ports: fakePorts(fakeHost),
    host: sampleHost,
    options: { handler: () => sampleHandler(...handler), confinement: { ...settings, ...confinement } },
  } as unknown as RuntimeContext
  return {
    fakeHost,
    context,
    seccomp: (wanted?: SecurityProfile, privileged = false) =>
      seccompProfileOf({ privileged, ...(wanted === undefined ? {} : { seccomp: wanted }) }, 'runc', context),
    apparmor: (wanted?: SecurityProfile, privileged = false) =>
      apparmorProfileOf({ privileged, ...(wanted === undefined ? {} : { apparmor: wanted }) }, context),
  }
}

const deniesMkdir = expect.objectContaining({ rules: [expect.objectContaining({ names: ['mkdir'] })] })

describe('seccomp', () => {
  test('is what is asked for', async () => {
    const { seccomp } = lab()
    expect(await seccomp(runtimeDefault)).toBe(defaultSeccompProfile)
    expect(await seccomp(unconfined)).toBeUndefined()
    expect(await seccomp(localhost('/profiles/mkdir.json'))).toEqual(deniesMkdir)
  })

  test('is what the configuration says where nothing is asked for', async () => {
    expect(await lab().seccomp()).toBeUndefined()
    expect(await lab({ unsetSeccomp: runtimeDefault }).seccomp()).toBe(defaultSeccompProfile)
    expect(await lab({ unsetSeccomp: localhost('/profiles/mkdir.json') }).seccomp()).toEqual(deniesMkdir)
  })

  test('of a privileged container is what the configuration says, whatever is asked for', async () => {
    expect(await lab({ unsetSeccomp: runtimeDefault }).seccomp(runtimeDefault, true)).toBeUndefined()
    const { seccomp } = lab({ privilegedSeccomp: localhost('/profiles/mkdir.json') })
    expect(await seccomp(unconfined, true)).toEqual(deniesMkdir)
  })

  test("RuntimeDefault is the handler's own profile where it has one", async () => {
    const { seccomp } = lab({}, ['runc', { seccompProfile: '/profiles/mkdir.json' }])
    expect(await seccomp(runtimeDefault)).toEqual(deniesMkdir)
    expect(await seccomp(unconfined)).toBeUndefined()
  })

  test('a file that cannot be used is named, with the reason and who asked for it', async () => {
    const { seccomp, fakeHost } = lab({}, ['runc', { seccompProfile: '/profiles/none.json' }])
    await expect(seccomp(runtimeDefault)).rejects.toThrow(
      'seccomp profile /profiles/none.json (RuntimeDefault by runtime.handlers.runc.seccomp_profile): it does not exist: put a valid profile there',
    )
    fakeHost.textFiles.set('/profiles/bad.json', '{"defaultAction":"ALLOW"}')
    await expect(seccomp(localhost('/profiles/bad.json'))).rejects.toMatchObject({
      kind: 'invalid-argument',
      message: expect.stringContaining(
        'seccomp profile /profiles/bad.json: defaultAction is "ALLOW": it must be one of',
      ),
    })
  })

  test('where kernel or OCI runtime have none, only Unconfined is possible', async () => {
    const builtWithout = lab({}, ['runc', {}, { seccomp: false }])
    await expect(builtWithout.seccomp(runtimeDefault)).rejects.toThrow(
      'the OCI runtime of handler runc was built without',
    )
    expect(await builtWithout.seccomp(unconfined)).toBeUndefined()
    const { context } = lab()
    const kernelWithout = { ...context, host: { ...sampleHost, seccomp: false } }
    await expect(
      seccompProfileOf({ privileged: false, seccomp: runtimeDefault }, 'runc', kernelWithout),
    ).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringContaining('the kernel of this host'),
    })
  })
})

describe('AppArmor', () => {
  test('is the default profile, which is loaded for it, unless something else is asked for', async () => {
    const { apparmor, fakeHost } = lab()
    expect(await apparmor(unconfined)).toBeUndefined()
    expect(fakeHost.apparmor.loaded).toEqual(new Set())
    expect(await apparmor()).toBe('cri-ts-default')
    expect(await apparmor(runtimeDefault)).toBe('cri-ts-default')
    expect(fakeHost.apparmor.loaded).toEqual(new Set(['cri-ts-default']))
  })

  test('of a privileged container is none, but for a profile that is named', async () => {
    const { apparmor, fakeHost } = lab()
    fakeHost.apparmor.loaded.add('mine')
    expect(await apparmor(undefined, true)).toBeUndefined()
    expect(await apparmor(runtimeDefault, true)).toBeUndefined()
    expect(await apparmor(localhost('mine'), true)).toBe('mine')
  })

  test('a profile that is named must be loaded', async () => {
    await expect(lab().apparmor(localhost('mine'))).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringContaining(
        'AppArmor profile mine is not loaded on this node: load it by apparmor_parser',
      ),
    })
  })

  test('is the profile that the configuration names, which must be loaded', async () => {
    const { apparmor, fakeHost } = lab({ apparmorProfile: 'site' })
    await expect(apparmor()).rejects.toThrow('AppArmor profile site is not loaded')
    fakeHost.apparmor.loaded.add('site')
    expect([await apparmor(), await apparmor(runtimeDefault)]).toEqual(['site', 'site'])
  })

  test('on a host without is none, and what is asked for is refused', async () => {
    const { apparmor, fakeHost } = lab()
    fakeHost.apparmor.enabled = false
    expect(await apparmor()).toBeUndefined()
    expect(await apparmor(unconfined)).toBeUndefined()
    for (const wanted of [runtimeDefault, localhost('mine')])
      await expect(apparmor(wanted)).rejects.toThrow('AppArmor is not enabled on this node')
  })

  test('without a parser is none where nothing is asked for', async () => {
    const { apparmor, fakeHost } = lab()
    fakeHost.apparmor.hasParser = false
    fakeHost.apparmor.loaded.add('mine')
    expect(await apparmor()).toBeUndefined()
    expect(await apparmor(localhost('mine'))).toBe('mine')
    await expect(apparmor(runtimeDefault)).rejects.toThrow('apparmor_parser is not installed')
  })
})

import { expect, test } from 'vitest'
import { defaultSeccompProfile } from '#runtime/seccomp/default-profile.ts'
import { resolveSeccomp, type SeccompProfile } from '#runtime/seccomp/profile.ts'
import { comparedSubjects, digestOf, effectOf } from './seccomp-effect.ts'

/** As hack/compare-seccomp printed it for containerd 2.4.2: where this fails, it tells the differences. */
const CONTAINERD = 'f28b2f0b1b2c8d6ced674d6a11d1dedb4c19ee95575b9dac6aa5bacafe31ca8b'

const digest = (profile: SeccompProfile): string =>
  digestOf(comparedSubjects.flatMap((subject) => effectOf(resolveSeccomp(profile, subject))))

test("the default profile has the effect of containerd's on every machine and with every capability", () => {
  expect(digest(defaultSeccompProfile)).toBe(CONTAINERD)
})

test('a profile that differs in one rule on one machine has another digest', () => {
  const rules = defaultSeccompProfile.rules.map((rule) =>
    rule.names.includes('riscv_hwprobe') ? { ...rule, names: ['riscv_flush_icache'] } : rule,
  )
  expect(digest({ ...defaultSeccompProfile, rules })).not.toBe(CONTAINERD)
})

test('a bound on the families of sockets is the same as its single values, and errno 1 as none', () => {
  const seccomp = (syscalls: Parameters<typeof effectOf>[0]['syscalls']) =>
    effectOf({ defaultAction: 'SCMP_ACT_ERRNO', architectures: [], syscalls })
  const socket = (op: string, value: number) => ({
    ...{ names: ['socket'], action: 'SCMP_ACT_ALLOW' },
    args: [{ index: 0, op, value }],
  })
  expect(seccomp([socket('SCMP_CMP_LT', 3)])).toEqual(
    seccomp([socket('SCMP_CMP_EQ', 1), socket('SCMP_CMP_EQ', 2)]),
  )
  expect(seccomp([{ names: ['a'], action: 'SCMP_ACT_ERRNO' }])).toEqual(
    seccomp([{ names: ['a'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }]),
  )
})

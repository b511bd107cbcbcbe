import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { parseSeccompProfile } from './parse-profile.ts'
import { resolveSeccomp, type SeccompSubject, seccompActions, seccompOperators } from './profile.ts'

const subject: SeccompSubject = { capabilities: ['CAP_CHOWN'], architecture: 'amd64', kernel: [6, 1] }
const resolved = (file: object, over: Partial<SeccompSubject> = {}) =>
  resolveSeccomp(parseSeccompProfile(JSON.stringify(file)), { ...subject, ...over })
const allow = { names: ['mkdir'], action: 'SCMP_ACT_ALLOW' }
/** The names of the rules that hold. */
const names = (rule: object, over?: Partial<SeccompSubject>): readonly string[] =>
  resolved({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...allow, ...rule }] }, over).syscalls.flatMap(
    (one) => one.names,
  )

test('a profile in the format of the OCI specification is passed on as it is', () => {
  const file = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X32'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    listenerPath: '/run/listener.sock',
    listenerMetadata: 'mine',
    syscalls: [
      { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' },
      {
        names: ['clone'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 95,
        args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
    ],
  }
  expect(resolved(file)).toEqual(file)
})

test('values of 64 bits keep every digit', () => {
  const profile = parseSeccompProfile(
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["dup2"],"action":"SCMP_ACT_ERRNO","args":[' +
      '{"index":1,"value":18446744073709551615,"op":"SCMP_CMP_EQ"},{"index":0,"value":9007199254740993,"op":"SCMP_CMP_EQ"}]}]}',
  )
  const text = JSON.stringify(resolveSeccomp(profile, subject))
  expect(text).toContain('"value":18446744073709551615,')
  expect(text).toContain('"value":9007199254740993,')
})

describe("Docker's format", () => {
  test('archMap answers the architectures of this machine', () => {
    const file = {
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
      ],
    }
    expect(resolved(file).architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'])
    expect(resolved(file, { architecture: 'arm64' }).architectures).toEqual(['SCMP_ARCH_AARCH64'])
    expect(resolved(file, { architecture: 's390x' }).architectures).toEqual([])
  })

  test('rules are chosen by capabilities, machine and kernel', () => {
    const both = ['CAP_BPF', 'CAP_SYS_ADMIN']
    expect(names({ includes: { caps: both } }, { capabilities: both })).toEqual(['mkdir'])
    expect(names({ includes: { caps: both } }, { capabilities: ['CAP_BPF'] })).toEqual([])
    expect(names({ excludes: { caps: both } }, { capabilities: ['CAP_BPF'] })).toEqual([])
    expect(names({ excludes: { caps: both } })).toEqual(['mkdir'])
    expect(names({ includes: { arches: ['arm64', 'amd64'] } })).toEqual(['mkdir'])
    expect(names({ includes: { arches: ['arm64'] } })).toEqual([])
    expect(names({ excludes: { arches: ['amd64'] } })).toEqual([])
    expect(names({ includes: { minKernel: '6.1' } })).toEqual(['mkdir'])
    expect(names({ includes: { minKernel: '6.10' } })).toEqual([])
    expect(names({ excludes: { minKernel: '4.8' } })).toEqual([])
  })

  test('empty conditions ask for nothing, and the old single name is taken', () => {
    const empty = { caps: [], arches: [], minKernel: '' }
    const old = { names: undefined, name: 'chmod', comment: 'old', includes: empty, excludes: empty }
    expect(names(old)).toEqual(['chmod'])
  })
})

test("Podman's errno by name means its number, and the number goes first", () => {
  const file = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrno: 'ENOSYS',
    defaultErrnoRet: 1,
    syscalls: [{ ...allow, errno: 'EOPNOTSUPP' }],
  }
  expect(resolved(file)).toMatchObject({ defaultErrnoRet: 1, syscalls: [{ errnoRet: 95 }] })
  expect(resolved({ ...file, defaultErrnoRet: undefined }).defaultErrnoRet).toBe(38)
})

test('a key that nobody knows is left alone', () => {
  expect(
    resolved({ defaultAction: 'SCMP_ACT_ALLOW', _comment: 'x', syscalls: [{ ...allow, id: 1 }] }),
  ).toEqual({ defaultAction: 'SCMP_ACT_ALLOW', architectures: [], syscalls: [allow] })
})

const base = { defaultAction: 'SCMP_ACT_ALLOW' }
test.for<[file: unknown, message: string]>([
  ['', 'it is not JSON'],
  [[], 'the whole is []: it must be an object'],
  [{}, 'defaultAction is missing'],
  [{ defaultAction: 'ALLOW' }, 'defaultAction is "ALLOW": it must be one of SCMP_ACT_ALLOW'],
  [{ ...base, syscals: [] }, 'syscals is not known: did you mean syscalls?'],
  [{ ...base, defaultaction: 'x' }, 'defaultaction is not known: did you mean defaultAction?'],
  [{ ...base, syscalls: {} }, 'syscalls is {}: it must be a list'],
  [{ ...base, syscalls: [{ names: ['a'] }] }, 'syscalls[0].action is missing'],
  [{ ...base, syscalls: [allow, { action: 'SCMP_ACT_LOG' }] }, 'syscalls[1] has neither names and name'],
  [{ ...base, syscalls: [{ ...allow, name: 'a' }] }, 'syscalls[0] has both names and name'],
  [{ ...base, syscalls: [{ ...allow, names: [1] }] }, 'syscalls[0].names[0] is 1: it must be a text'],
  [{ ...base, syscalls: [{ ...allow, errnoRet: -1 }] }, 'syscalls[0].errnoRet is -1: it must be an integer'],
  [{ ...base, syscalls: [{ ...allow, errnoRet: 1.5 }] }, 'syscalls[0].errnoRet is 1.5'],
  [{ ...base, syscalls: [{ ...allow, errno: 'EPREM' }] }, 'is "EPREM", which is no errno: give one as EPERM'],
  [{ ...base, syscalls: [{ ...allow, args: [{ index: 6, op: 'SCMP_CMP_EQ' }] }] }, 'args[0].index is 6'],
  [{ ...base, syscalls: [{ ...allow, args: [{ index: 0, op: 'EQ' }] }] }, 'args[0].op is "EQ"'],
  [{ ...base, syscalls: [{ ...allow, includes: { caps: ['ADMIN'] } }] }, 'includes.caps[0] is "ADMIN"'],
  [{ ...base, syscalls: [{ ...allow, includes: { minKernel: '5' } }] }, 'includes.minKernel is "5"'],
  [
    { ...base, architectures: ['amd64'] },
    'architectures[0] is "amd64": it must be one like SCMP_ARCH_X86_64',
  ],
  [{ ...base, architectures: [], archMap: [] }, 'it has both architectures and archMap'],
])('what is wrong is named with its place: %#', ([file, message]) => {
  const text = typeof file === 'string' ? file : JSON.stringify(file)
  expect(() => parseSeccompProfile(text)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const word = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/)
const rule = fc.record(
  {
    names: fc.array(word),
    action: fc.constantFrom(...seccompActions),
    errnoRet: fc.integer({ min: 0, max: 4095 }),
    args: fc.array(
      fc.record({
        index: fc.integer({ min: 0, max: 5 }),
        value: uint64,
        valueTwo: uint64,
        op: fc.constantFrom(...seccompOperators),
      }),
      { minLength: 1 },
    ),
  },
  { requiredKeys: ['names', 'action'] },
)
const profile = fc.record(
  {
    defaultAction: fc.constantFrom(...seccompActions),
    defaultErrnoRet: fc.integer({ min: 0, max: 4095 }),
    architectures: fc.array(fc.constantFrom('SCMP_ARCH_X86_64', 'SCMP_ARCH_X32')),
    syscalls: fc.array(rule),
  },
  { requiredKeys: ['defaultAction', 'architectures', 'syscalls'] },
)

/** Numbers as the file would have them. */
const written = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `#${part}#` : part)).replaceAll(
    /"#(\d+)#"/g,
    '$1',
  )

test('whatever the OCI specification can say comes out as it went in', () => {
  fc.assert(
    fc.property(profile, (file) => {
      const text = JSON.stringify(resolveSeccomp(parseSeccompProfile(written(file)), subject))
      const sorted = (json: string): unknown => JSON.parse(json.replaceAll(/\d{15,}/g, '"$&"'))
      expect(sorted(text)).toEqual(sorted(written(file)))
    }),
  )
})

test('any other file is refused as the operator’s, never as a bug', () => {
  const key = fc.constantFrom(
    ...[
      'defaultAction',
      'syscalls',
      'names',
      'action',
      'args',
      'index',
      'value',
      'includes',
      'caps',
      'archMap',
    ],
  )
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue(),
      fc.constantFrom(...seccompActions),
      fc.dictionary(key, tie('node')),
      fc.array(tie('node')),
    ),
  })).node
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        tree.map((value) => written(value)),
      ),
      (text) => {
        try {
          parseSeccompProfile(text)
        } catch (error) {
          expect(error).toBeInstanceOf(CriError)
        }
      },
    ),
  )
})

import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { type PolicyFiles, policyFiles } from './policy-file.ts'
import { parseReference } from './reference.ts'

const ANY = [{ type: 'insecureAcceptAnything' }]
const KEY = { type: 'sigstoreSigned', keyPath: '/k' }

let directory: string
let files: PolicyFiles
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cri-ts-policy-'))
  files = policyFiles({ policy: join(directory, 'policy.json'), directory })
})
afterEach(() => rm(directory, { recursive: true }))

const write = (content: unknown) =>
  writeFile(join(directory, 'policy.json'), typeof content === 'string' ? content : JSON.stringify(content))
const problem = async (content: unknown): Promise<string> => {
  await write(content)
  try {
    await files.of('')
    return ''
  } catch (error) {
    if (!(error instanceof CriError) || error.kind !== 'unverified') throw error
    return error.message.replaceAll(directory, 'D')
  }
}

test.for<[reference: string, scope: string]>([
  ['registry.example:5000/ns/app:v1', 'registry.example:5000/ns/app:v1'],
  [`registry.example:5000/ns/app@sha256:${'0'.repeat(64)}`, 'registry.example:5000/ns/app'],
  ['registry.example:5000/ns/app:v2', 'registry.example:5000/ns/app'],
  ['registry.example:5000/ns/application', 'registry.example:5000/ns'],
  ['registry.example:5000/nsx/app', 'registry.example:5000'],
  ['registry.example/ns/app', '*.example'],
  ['a.b.registry.example:1/x', '*.registry.example'],
  ['busybox', 'docker.io/library/busybox'],
  ['example/app', 'docker.io'],
  ['localhost/app', ''],
])('%s is in the scope "%s"', async ([reference, scope]) => {
  const scopes = [
    'registry.example:5000/ns/app:v1',
    'registry.example:5000/ns/app',
    'registry.example:5000/ns',
    'registry.example:5000',
    '*.registry.example',
    '*.example',
    'docker.io/library/busybox',
    'docker.io',
    '',
  ]
  await write({ default: ANY, transports: { docker: Object.fromEntries(scopes.map((each) => [each, ANY])) } })
  const policy = await files.of('')
  expect(policy?.rulesFor(parseReference(reference)).map(({ at }) => at)).toEqual([
    `transports.docker[${JSON.stringify(scope)}][0]`,
  ])
})

test('what is in no scope, or of another transport, has the default', async () => {
  await write({ default: ANY, transports: { docker: { 'other.example': ANY }, atomic: { '': ANY } } })
  const policy = await files.of('')
  for (const reference of [parseReference('x.constructor/y'), undefined])
    expect(policy?.rulesFor(reference)).toEqual([{ at: 'default[0]', requirement: ANY[0] }])
})

test.for<[content: unknown, message: RegExp]>([
  ['', /policy D\/policy.json is no valid JSON/],
  ['[]', /D\/policy.json: its top: .*expected object/],
  [{}, /D\/policy.json: default: /],
  [{ default: [] }, /default: /],
  [{ default: ANY, defualt: ANY }, /its top: unknown key defualt/],
  [{ defualt: ANY }, /its top: unknown key defualt/],
  [{ default: [{ type: 'accept' }] }, /default\[0\]\.type: /],
  [{ default: [{ type: 'reject', keyPath: '/x' }] }, /default\[0\]: unknown key keyPath/],
  [
    { default: ANY, transports: { docker: { 'x/y': [{ ...KEY, keyPaht: 1 }] } } },
    /transports\.docker\["x\/y"\]\[0\]: unknown key keyPaht/,
  ],
  [{ default: [{ type: 'sigstoreSigned' }] }, /default\[0\]: needs exactly one of keyPath, keyPaths/],
  [{ default: [{ ...KEY, keyData: 'AA==' }] }, /needs exactly one of/],
  [{ default: [{ type: 'sigstoreSigned', keyData: 'no base64!' }] }, /keyData: is not base64/],
  [{ default: [{ type: 'sigstoreSigned', keyPaths: [] }] }, /keyPaths: /],
  [
    { default: [{ ...KEY, rekorPublicKeyPath: '/r', rekorPublicKeyData: 'AA==' }] },
    /has more than one of rekorPublicKeyPath/,
  ],
  [
    { default: [{ type: 'sigstoreSigned', fulcio: { caPath: '/c', oidcIssuer: 'i', subjectEmail: 'e' } }] },
    /has fulcio, and needs a rekorPublicKey/,
  ],
  [{ default: [{ ...KEY, signedIdentity: { type: 'matchAll' } }] }, /signedIdentity\.type: /],
  [
    { default: [{ ...KEY, signedIdentity: { type: 'exactReference', dockerReference: 'a/b' } }] },
    /has neither a tag nor a digest/,
  ],
  [
    {
      default: [
        { ...KEY, signedIdentity: { type: 'remapIdentity', prefix: 'a.b/c:v1', signedPrefix: 'x.y' } },
      ],
    },
    /prefix: is no host/,
  ],
])('%j is refused by name', async ([content, message]) => {
  expect(await problem(content)).toMatch(message)
})

test('what is not verified here is read, for scopes that it does not concern', async () => {
  const docker = {
    'a.example': [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }],
    'b.example': [{ type: 'sigstoreSigned', pki: { caRootsPath: '/r', subjectEmail: 'e' } }],
    'c.example': [{ type: 'signedBaseLayer', baseLayerIdentity: { type: 'matchExact' } }],
  }
  expect(await problem({ default: ANY, transports: { docker } })).toBe('')
})

test('any JSON is either a policy or refused by name', async () => {
  await fc.assert(
    fc.asyncProperty(fc.json(), async (text) => {
      expect(await problem(text)).toMatch(/^SignatureValidationFailed: signature policy D\/policy.json/)
    }),
    { numRuns: 50 },
  )
})

test('a namespace that is a path has no policy', async () => {
  await write({ default: ANY })
  await expect(files.of('../policy')).rejects.toMatchObject({ kind: 'unverified' })
})

test('without a policy nothing applies, unless one is named', async () => {
  const fallback = join(directory, 'none.json')
  expect(await policyFiles({ policy: undefined, directory, fallback }).of('ns')).toBeUndefined()
  await expect(files.of('ns')).rejects.toMatchObject({ kind: 'unverified' })
})

test.for(['none.json', 'ns.json'])(
  '%s that is a link to nothing is broken, and not missing',
  async (name) => {
    const fallback = join(directory, 'none.json')
    await symlink('gone', join(directory, name))
    await expect(policyFiles({ policy: undefined, directory, fallback }).of('ns')).rejects.toMatchObject({
      kind: 'unverified',
      message: expect.stringContaining(`${name} cannot be read: it is a link to what is not there`),
    })
  },
)

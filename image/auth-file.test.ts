import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { authPlace, nearestKey, parseAuthFile } from './auth-file.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const parse = (content: object | string) =>
  parseAuthFile(typeof content === 'string' ? content : JSON.stringify(content), '/a/auth.json')
const endpoint = (root: string, repository = 'team/app') =>
  ({ root: new URL(root), repository }) as unknown as RegistryEndpoint

test.for([
  [{ auth: base64('u:p:q') }, { kind: 'basic', username: 'u', password: 'p:q' }],
  [
    { username: 'u', password: 'p' },
    { kind: 'basic', username: 'u', password: 'p' },
  ],
  [
    { auth: base64('u:'), identitytoken: 'i' },
    { kind: 'identity-token', token: 'i' },
  ],
  [
    { registrytoken: 'r', identitytoken: 'i' },
    { kind: 'registry-token', token: 'r' },
  ],
  [{}, undefined],
] as const)('an entry %o is %o', ([entry, credentials]) => {
  expect(parse({ auths: { 'r.x': entry } }).auths.get('r.x')).toEqual(credentials)
})

test.for([
  ['r.x', 'https://r.x/v2', 'r.x'],
  ['r.x:443', 'https://r.x/v2', 'r.x'],
  ['r.x:5000', 'https://r.x/v2', undefined],
  ['r.x', 'https://r.x:5000/v2', undefined],
  ['r.x/team', 'https://r.x/v2', 'r.x/team'],
  ['r.x/team/app', 'https://r.x/v2', 'r.x/team/app'],
  ['r.x/te', 'https://r.x/v2', undefined],
  ['r.x/team/app/more', 'https://r.x/v2', undefined],
  ['https://r.x/v1/', 'https://r.x/v2', 'r.x'],
  ['https://index.docker.io/v1/', 'https://registry-1.docker.io/v2', 'docker.io'],
  ['docker.io/team', 'https://registry-1.docker.io/v2', 'docker.io/team'],
  ['h.x/proxy', 'https://h.x/v2/proxy', 'h.x/proxy'],
  ['h.x/proxy/team/app', 'https://h.x/v2/proxy', 'h.x/proxy/team/app'],
] as const)('"%s" is for %s: %s', ([key, root, found]) => {
  const file = parse({ auths: { [key]: { auth: base64('u:p') } } })
  expect(nearestKey(file, authPlace(endpoint(root)))).toBe(found)
})

test('the nearest of several entries is taken', () => {
  const file = parse({
    auths: Object.fromEntries(
      ['r.x', 'r.x/team', 'r.x/team/app'].map((key) => [key, { auth: base64('u:p') }]),
    ),
  })
  const nearest = (repository: string) => nearestKey(file, authPlace(endpoint('https://r.x/v2', repository)))
  expect(['team/app', 'team/other', 'other'].map(nearest)).toEqual(['r.x/team/app', 'r.x/team', 'r.x'])
})

test("what else is in Docker's config.json is no mistake, and an empty file has nothing", () => {
  expect(parse({ auths: {}, HttpHeaders: { a: 'b' }, currentContext: 'x' }).store).toBe('')
  expect(parse('').auths.size).toBe(0)
})

test.for([
  ['{"auths": {"r.x": {"auth": "s3cret"}}}', '/a/auth.json: auths."r.x".auth is not the base64'],
  ['{"auths":\n{"r.x": {"auth": "s3cret" "x"}}}', '/a/auth.json:2: it is not JSON'],
  ['{"auths": {"r.x": {"auth": ["s3cret"]}}}', '/a/auth.json: auths.r.x.auth: '],
  ['{"auths": "s3cret"}', '/a/auth.json: auths: '],
  ['{"credHelpers": {"r.x": "../s3cret"}}', 'must be the name of a credential helper'],
  ['{"credsStore": "/bin/s3cret"}', '/a/auth.json: credsStore: '],
] as const)('%s is refused: %s', ([text, message]) => {
  const refusal = expect.objectContaining({
    kind: 'failed-precondition',
    message: expect.stringContaining(message),
  })
  expect(() => parse(text)).toThrow(refusal)
  expect(() => parse(text)).not.toThrow('s3cret')
})

test('any text is read, or refused by the name of the file without a word of it', () => {
  const word = fc.constantFrom(
    '{',
    '}',
    '"auths":',
    '"s3cret"',
    '"auth":',
    ':',
    ',',
    '1',
    '[',
    ']',
    ' ',
    '\n',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(word).map((words) => words.join('')),
  )
  fc.assert(
    fc.property(text, (content) => {
      try {
        parse(content)
      } catch (thrown) {
        if (!(thrown instanceof CriError)) throw thrown
        expect(thrown.message).toMatch(/^\/a\/auth\.json/)
        if (!content.includes('"s3cret":')) expect(thrown.message).not.toContain('s3cret')
      }
    }),
    { numRuns: 1000 },
  )
})

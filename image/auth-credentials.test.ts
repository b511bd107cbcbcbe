import fc from 'fast-check'
import { expect, test } from 'vitest'
import { areFor, readCredentials } from './auth-credentials.ts'

const none = { username: '', password: '', auth: '', serverAddress: '', identityToken: '', registryToken: '' }
const base64 = (text: string) => Buffer.from(text).toString('base64')

test.for([
  [none, { kind: 'anonymous' }],
  [
    { ...none, username: 'u', password: 'p', identityToken: 'i' },
    { kind: 'basic', username: 'u', password: 'p' },
  ],
  [
    { ...none, auth: base64('u:p:q') },
    { kind: 'basic', username: 'u', password: 'p:q' },
  ],
  [
    { ...none, auth: base64('u:p\0\0') },
    { kind: 'basic', username: 'u', password: 'p' },
  ],
  [
    { ...none, identityToken: 'i', auth: base64('u:p') },
    { kind: 'identity-token', token: 'i' },
  ],
  [
    { ...none, registryToken: 'r', username: 'u' },
    { kind: 'registry-token', token: 'r' },
  ],
] as const)('%o is %o', ([auth, credentials]) => {
  expect(readCredentials(auth)).toEqual(credentials)
})

test.for([
  [{ ...none, auth: base64('s3cret') }, 'is not the base64 of'],
  [{ ...none, auth: 's3cret:x' }, 'is not the base64 of'],
  [{ ...none, password: 's3cret' }, 'no user name'],
] as const)('%o is refused without being shown', ([auth, message]) => {
  expect(() => readCredentials(auth)).toThrow(message)
  expect(() => readCredentials(auth)).not.toThrow('s3cret')
})

test('any user name without a colon and any password come back', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[^:\0]+$/), fc.stringMatching(/^[^\0]*$/), (username, password) => {
      fc.pre(Buffer.from(`${username}${password}`).toString() === `${username}${password}`)
      expect(readCredentials({ ...none, auth: base64(`${username}:${password}`) })).toEqual({
        kind: 'basic',
        username,
        password,
      })
    }),
  )
})

test.for([
  ['https://r.x/v2', 'r.x', '', true],
  ['https://r.x/v2', 'r.x:443', '', true],
  ['https://r.x:5000/v2', 'r.x', '', false],
  ['https://mirror.x/v2', 'r.x', '', false],
  ['https://mirror.x/v2', 'r.x', 'mirror.x', true],
  ['https://r.x/v2', 'r.x', 'https://mirror.x/v2/', false],
  ['https://r.x/v2', 'r.x', 'https://r.x/path', true],
  ['https://registry-1.docker.io/v2', 'docker.io', '', true],
  ['https://registry-1.docker.io/v2', 'docker.io', 'https://index.docker.io/v1/', true],
] as const)('at %s for %s with the server address "%s": %s', ([url, registry, serverAddress, sent]) => {
  expect(areFor(new URL(url), registry, serverAddress)).toBe(sent)
})

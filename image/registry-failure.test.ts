import { expect, test } from 'vitest'
import { connectionFailure, mayBePlainHttp } from './registry-failure.ts'
import { parseRetryAfter } from './registry-status.ts'

const failed = (code: string) => Object.assign(new Error('x'), { code })
const url = new URL('https://u:s3cret@r.x:5000/v2/a?sig=s3cret')

test.for([
  ['SELF_SIGNED_CERT_IN_CHAIN', "name the authority's file as ca in /c/hosts.toml"],
  ['CERT_HAS_EXPIRED', "renew it, or set this host's clock"],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is not for r.x'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'for plain HTTP write server = "http://r.x:5000" into /c/hosts.toml'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'name it as client in /c/hosts.toml'],
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'the host name has no address'],
] as const)('%s is said with what to do: %s', ([code, remedy]) => {
  const { message } = connectionFailure(failed(code), url, '/c/hosts.toml')
  expect(message).toContain('https://r.x:5000/v2/a: ')
  expect(message).toContain(remedy)
  expect(message).not.toContain('s3cret')
})

test.for([
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'https://r.x:5000/v2', true],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'https://r.x/v2', true],
  ['ECONNREFUSED', 'https://r.x/v2', true],
  ['ECONNREFUSED', 'https://r.x:5000/v2', false],
  ['CERT_HAS_EXPIRED', 'https://r.x/v2', false],
] as const)('%s from %s: plain HTTP may be what is spoken there: %s', ([code, from, may]) => {
  expect(mayBePlainHttp(failed(code), new URL(from))).toBe(may)
})

test('of several addresses that fail, one says why', () => {
  const all = new AggregateError([failed('ECONNREFUSED'), failed('ENETUNREACH')])
  expect(connectionFailure(all, url, '').message).toContain('nothing listens there')
})

test.for([
  [undefined, undefined],
  ['7', 7000],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 59_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', undefined],
  ['-1', undefined],
] as const)('Retry-After: %s is %s ms', ([value, expected]) => {
  expect(parseRetryAfter(value, 1000)).toBe(expected)
})

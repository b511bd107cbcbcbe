import { expect, test } from 'vitest'
import { secureContext, tlsKey } from './registry-tls.ts'

const settings = (skipVerify: boolean) => ({ caPems: [], client: [], skipVerify })

test('endpoints of the same settings share what is costly to make, others do not', () => {
  expect(secureContext(settings(true), '')).toBe(secureContext(settings(true), ''))
  expect(secureContext(settings(true), '')).not.toBe(secureContext(settings(false), ''))
})

test('a key that cannot be used is refused with the file beside which it lies, each time, and is not shown', () => {
  const broken = { ...settings(false), client: [{ certPem: 'x', keyPem: 's3cret' }] }
  for (let time = 0; time < 2; time += 1) {
    expect(() => secureContext(broken, '/c/hosts.toml')).toThrow('beside /c/hosts.toml cannot be used')
  }
  expect(tlsKey(broken)).not.toContain('s3cret')
})

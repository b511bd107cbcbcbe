import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { isImageId, parseReference } from './reference.ts'

const hex = 'a'.repeat(64)
const digest = `sha256:${hex}`

test.for([
  ['busybox', 'docker.io/library/busybox:latest'],
  ['busybox:1.29-2', 'docker.io/library/busybox:1.29-2'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest'],
  ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest'],
  ['team/app', 'docker.io/team/app:latest'],
  ['localhost/app', 'localhost/app:latest'],
  ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
  ['registry.example/a/b/c:T_1.x', 'registry.example/a/b/c:T_1.x'],
  ['[::1]:5000/app', '[::1]:5000/app:latest'],
  ['HOST/app', 'HOST/app:latest'],
  [`app@${digest}`, `docker.io/library/app@${digest}`],
  [`host:1/app:v1@${digest}`, `host:1/app@${digest}`],
] as const)('%s is %s', ([text, whole]) => {
  const reference = parseReference(text)
  expect(reference.tagged ?? reference.canonical).toBe(whole)
  expect(reference.name).toBe(`${reference.registry}/${reference.repository}`)
})

test('a tag beside a digest is dropped: the digest decides', () => {
  expect(parseReference(`a.b/c:v1@${digest}`)).toEqual({
    registry: 'a.b',
    repository: 'c',
    digest,
    name: 'a.b/c',
    canonical: `a.b/c@${digest}`,
  })
})

test.for([
  ['', 'is empty'],
  [hex, 'it is an image id'],
  [digest, 'it is an image id'],
  ['App', 'has capitals'],
  ['host.x/Team/app', 'has capitals'],
  ['a//b', 'a part of the repository is empty'],
  ['host.x/', 'names no repository'],
  ['app:', 'the tag after ":" is empty'],
  ['app:-x', '"-x" is not a tag'],
  [`app:${'x'.repeat(129)}`, 'is not a tag'],
  ['app@', 'is not a digest'],
  ['app@sha256:abc', 'is not a digest'],
  [`app@sha512:${hex}${hex}`, 'is not a digest'],
  [`app@sha256:${hex.toUpperCase()}`, 'is not a digest'],
  ['-app', '"-app" is no part of a repository'],
  ['a___b', 'is no part of a repository'],
  ['host.x:0/app', 'not a port'],
  ['host.x:70000/app', 'not a port'],
  ['host_x.y/app', "not a registry's host"],
  ['https://host.x/app', "not a registry's host"],
  [`host.x/${'a'.repeat(256)}`, '256 characters, 255 at most'],
  ['app v1', 'is no part of a repository'],
  ['app\n', 'is no part of a repository'],
] as const)('"%s" is refused: %s', ([text, message]) => {
  expect(() => parseReference(text)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

describe('whatever the parts', () => {
  const lower = 'abcdefghijklmnopqrstuvwxyz0123456789'
  const word = fc.string({ unit: fc.constantFrom(...lower), minLength: 1, maxLength: 8 })
  const component = fc
    .tuple(word, fc.constantFrom('', '.', '_', '__', '-', '---'), word)
    .map(([a, separator, b]) => `${a}${separator}${b}`)
  const registry = fc
    .tuple(word, word, fc.option(fc.integer({ min: 1, max: 65_535 })))
    .map(([a, b, port]) => {
      return port === null ? `${a}.${b}` : `${a}.${b}:${port}`
    })
  const repository = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
  const tag = fc.stringMatching(/^\w[\w.-]{0,127}$/)
  const sum = fc.stringMatching(/^[0-9a-f]{64}$/).map((digits) => `sha256:${digits}`)

  test('a reference is taken apart as it was put together', () => {
    fc.assert(
      fc.property(registry, repository, tag, sum, (host, path, label, checksum) => {
        expect(parseReference(`${host}/${path}:${label}`)).toEqual({
          registry: host,
          repository: path,
          tag: label,
          name: `${host}/${path}`,
          tagged: `${host}/${path}:${label}`,
        })
        expect(parseReference(`${host}/${path}@${checksum}`).digest).toBe(checksum)
      }),
    )
  })

  test('any text is a reference that reads back as itself, or refused as an invalid argument', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'aA0.:/@-_[]', 'sha256:'), maxLength: 30 })
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly), (text) => {
        try {
          const reference = parseReference(text)
          expect(parseReference(reference.tagged ?? reference.canonical ?? '')).toEqual(reference)
        } catch (thrown) {
          if (!(thrown instanceof CriError)) throw thrown
          expect(thrown.kind).toBe('invalid-argument')
        }
      }),
      { numRuns: 1000 },
    )
  })
})

test.for([
  [hex, true],
  [digest, true],
  [hex.slice(1), false],
  [`sha512:${hex}`, false],
  [`app@${digest}`, false],
] as const)('%s is an image id: %s', ([text, answer]) => {
  expect(isImageId(text)).toBe(answer)
})

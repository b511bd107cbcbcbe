import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { parseReference } from './reference.ts'
import { parseRegistriesFile } from './registries-file.ts'
import { imageLocations } from './registries-locations.ts'

const line = fc.constantFrom(
  '[[registry]]',
  '[[registry.mirror]]',
  '[aliases]',
  'prefix = "*.a.x"',
  'prefix = "a.x/b"',
  'location = "a.x"',
  'location = "b.x/c:1"',
  'insecure = true',
  'mirror-by-digest-only = true',
  'pull-from-mirror = "tag-only"',
  'a = "a.x/b"',
  'registry = 1',
  'x = ',
  '',
)

test('any text is read, or refused by its file and a line of it', () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n')),
  )
  fc.assert(
    fc.property(text, (content) => {
      try {
        const { registries } = parseRegistriesFile(content, '/r.conf')
        for (const { prefix, where } of registries)
          expect([prefix === '', where.split(':')[0]]).toEqual([false, '/r.conf'])
      } catch (thrown) {
        if (!(thrown instanceof CriError)) throw thrown
        expect(thrown.message).toMatch(/^\/r\.conf:\d+: /)
        const [, lineNumber] = /^\/r\.conf:(\d+)/.exec(thrown.message) ?? []
        expect(Number(lineNumber)).toBeLessThanOrEqual(content.split('\n').length)
      }
    }),
    { numRuns: 1000 },
  )
})

test('the longest prefix is the one that counts, in whatever order the tables stand', () => {
  const parts = ['a.x', 'team', 'sub', 'app']
  const depths = fc.uniqueArray(fc.integer({ min: 1, max: parts.length }), { minLength: 1 })
  fc.assert(
    fc.property(depths, fc.integer({ min: 1, max: 4 }), (prefixes, own) => {
      const tables = prefixes.map(
        (depth) => `[[registry]]\nprefix = "${parts.slice(0, depth).join('/')}"\nlocation = "m${depth}.x/in"`,
      )
      const image = parseReference([...parts.slice(0, own), 'end'].join('/'))
      const best = Math.max(0, ...prefixes.filter((depth) => depth <= own))
      const [place] = imageLocations(image, parseRegistriesFile(tables.join('\n'), '/r.conf'))
      const rest = [...parts.slice(best, own), 'end'].join('/')
      const expected = best === 0 ? image.name : `m${best}.x/in/${rest}`
      expect(`${place?.registry}/${place?.repository}`).toBe(expected)
    }),
  )
})

test.for([
  ['x = ', '/r.conf:1: '],
  ['\n[[registry]]\nlocatoin = "a"', '/r.conf:3: locatoin is not a key here: is location meant?'],
  [
    '[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocatin = "b"',
    'locatin is not a key here: is location meant?',
  ],
  ['[[registry]]\ninsecure = true', '/r.conf:1: a [[registry]] needs a prefix or a location'],
  ['[[registry]]\nprefix = "a.x"', '/r.conf:1: [[registry]] a.x needs a location'],
  ['[[registry]]\nlocation = "https://a.x"', '/r.conf:2: registry.location: must be without https://'],
  ['[[registry]]\nprefix = "a.*.x"\nlocation = "b"', '/r.conf:2: registry.prefix: must be host'],
  [
    '[[registry]]\nprefix = "a.x/b"\nlocation = "c.x/d:1"',
    '/r.conf:1: location c.x/d:1 must be without a tag',
  ],
  ['[[registry]]\nlocation = "a"\nblocked = "yes"', '/r.conf:3: registry.blocked: must be true or false'],
  ['[[registry]]\nlocation = "a"\n[[registry]]\nlocation = "a"', '/r.conf:3: a [[registry]] for a is in'],
  [
    '[[registry]]\nlocation = "a"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "all"',
    '/r.conf:4: pull-from-mirror contradicts',
  ],
  [
    '[[registry]]\nlocation = "a"\n[[registry.mirror]]\npull-from-mirror = "x"\nlocation = "b"',
    'must be "all"',
  ],
  ['short-name-mode = "strict"', '/r.conf:1: short-name-mode: must be "enforcing"'],
  [
    'unqualified-search-registries = ["a.x/b"]',
    '/r.conf:1: unqualified-search-registries: must be a host[:port]',
  ],
  ['unqualified-search-registries = ["local"]', 'must be a host[:port] with a dot or a port in it'],
  ['[aliases]\n"r.x/a" = "r.y/b"', '/r.conf:2: alias "r.x/a" must be a short name'],
  ['[aliases]\n"a:1" = "r.y/b"', '/r.conf:2: alias "a:1" must be a short name'],
  ['[aliases]\na = "b"', '/r.conf:2: alias "a" must name a registry'],
  ['[aliases]\na = "r.x/b:1"', '/r.conf:2: alias "a" must name a registry'],
  ['[registries.search]\nregistries = ["a"]', '/r.conf:1: [registries.*] is of version 1'],
] as const)('%j is refused: %s', ([text, message]) => {
  const refusal = { kind: 'failed-precondition', message: expect.stringContaining(message) }
  expect(() => parseRegistriesFile(text, '/r.conf')).toThrow(expect.objectContaining(refusal))
  expect(() => parseRegistriesFile(text, '/r.conf')).toThrow(/^\/r\.conf:\d+: /)
})

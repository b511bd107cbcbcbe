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

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseReference } from './reference.ts'
import { registriesConf } from './registries-conf.ts'
import { imageLocations } from './registries-locations.ts'
import { fullNames } from './short-names.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-registries-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function write(name: string, text: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true })
  writeFileSync(join(directory, name), text)
}
const conf = () => registriesConf(join(directory, 'r.conf'), join(directory, 'recorded.conf'))
const withText = (text: string) => {
  write('r.conf', text)
  return conf()()
}
const digest = `sha256:${'a'.repeat(64)}`
const placesOf = (image: string, text: string) =>
  imageLocations(parseReference(image), withText(text)).map(
    ({ registry, repository, insecure, blockedBy }) =>
      `${registry}/${repository}${insecure ? ' insecure' : ''}${blockedBy === '' ? '' : ' blocked'}`,
  )
const namesOf = (image: string, text: string) =>
  fullNames(image, withText(text)).references.map(({ tagged, canonical }) => tagged ?? canonical)

const mirrored = `
[[registry]]
prefix = "example.com/foo"
location = "inner.example/bar"
[[registry.mirror]]
location = "m0.local/for-foo/"
[[registry.mirror]]
location = "m1.local:5000/mirrors/foo"
insecure = true
[[registry]]
location = "example.com"
`

describe('an image is looked for', () => {
  test.for([
    [
      'example.com/foo/app:v1',
      ['m0.local/for-foo/app', 'm1.local:5000/mirrors/foo/app insecure', 'inner.example/bar/app'],
    ],
    ['example.com/foo:v1', ['m0.local/for-foo', 'm1.local:5000/mirrors/foo insecure', 'inner.example/bar']],
    ['example.com/foobar/app:v1', ['example.com/foobar/app']],
    ['other.example/foo/app:v1', ['other.example/foo/app']],
    ['example.com:5000/foo/app:v1', ['example.com:5000/foo/app']],
    ['example.community/foo/app:v1', ['example.community/foo/app']],
  ] as const)('%s: at %j', ([image, places]) => {
    expect(placesOf(image, mirrored)).toEqual(places)
  })

  test.for([
    [
      '[[registry]]\nprefix = "*.example.com"\ninsecure = true',
      'a.b.example.com/x:1',
      ['a.b.example.com/x insecure'],
    ],
    [
      '[[registry]]\nprefix = "*.example.com"\ninsecure = true',
      'a.example.com:5000/x:1',
      ['a.example.com:5000/x insecure'],
    ],
    ['[[registry]]\nprefix = "*.example.com"\ninsecure = true', 'example.com/x:1', ['example.com/x']],
    [
      '[[registry]]\nprefix = "*.example.com"\ninsecure = true',
      'r.x/a.example.com/x:1',
      ['r.x/a.example.com/x'],
    ],
    [
      '[[registry]]\nprefix = "*.example.com"\n[[registry.mirror]]\nlocation = "m.x/all"',
      'a.example.com/x/y:1',
      ['m.x/all/x/y', 'a.example.com/x/y'],
    ],
    [
      '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "hub.x"',
      'busybox',
      ['hub.x/library/busybox', 'docker.io/library/busybox'],
    ],
    ['[[registry]]\nprefix = "q.x/old"\nlocation = "docker.io"', 'q.x/old/app:1', ['docker.io/library/app']],
    ['[[registry]]\nlocation = "q.x"\nblocked = true', 'q.x:5000/app:1', ['q.x:5000/app blocked']],
    ['[[registry]]\nprefix = "q.x"\nlocation = "r.x"', 'q.x:5000/app:1', ['r.x:5000/app']],
    [
      '[[registry]]\nlocation = "q.x"\nblocked = true\n[[registry]]\nlocation = "q.x:5000"',
      'q.x:5000/app:1',
      ['q.x:5000/app'],
    ],
    ['[[registry]]\nlocation = "[::1]"\ninsecure = true', '[::1]:5000/app:1', ['[::1]:5000/app insecure']],
  ] as const)('by %j: %s at %j', ([text, image, places]) => {
    expect(placesOf(image, text)).toEqual(places)
  })
})

test.for([
  ['m.x/all', 'q.x:5000/app:1', 'm.x/all:5000/app:1'],
  ['m.x:443', 'q.x:5000/app:1', 'm.x:443:5000/app:1'],
] as const)('a host on a port cannot be moved to %s: the error says so', ([mirror, image, made]) => {
  const text = `[[registry]]\nlocation = "q.x"\n[[registry.mirror]]\nlocation = "${mirror}"`
  expect(() => placesOf(image, text)).toThrow(
    `${join(directory, 'r.conf')}:3 [[registry.mirror]]: of ${image} it makes ${made}, which is no image's name: ` +
      'give q.x:5000 a [[registry]] of its own',
  )
})

describe('mirrors are asked', () => {
  test.for([
    ['all', ['m.x/a', 'r.x/a'], ['m.x/a', 'r.x/a']],
    ['tag-only', ['m.x/a', 'r.x/a'], ['r.x/a']],
    ['digest-only', ['r.x/a'], ['m.x/a', 'r.x/a']],
  ] as const)('with pull-from-mirror = %s as that says', ([mode, byTag, byDigest]) => {
    const text = `[[registry]]\nlocation = "r.x"\n[[registry.mirror]]\nlocation = "m.x"\npull-from-mirror = "${mode}"`
    expect(placesOf('r.x/a:1', text)).toEqual(byTag)
    expect(placesOf(`r.x/a@${digest}`, text)).toEqual(byDigest)
  })

  test('by digest alone where the registry has mirror-by-digest-only', () => {
    const text =
      '[[registry]]\nlocation = "r.x"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.x"'
    expect(placesOf('r.x/a:1', text)).toEqual(['r.x/a'])
    expect(placesOf(`r.x/a@${digest}`, text)).toEqual(['m.x/a', 'r.x/a'])
  })

  test('where the registry itself is blocked, but for those that are blocked, too', () => {
    const text = `
      [[registry]]
      location = "r.x"
      blocked = true
      [[registry.mirror]]
      location = "m.x"
      [[registry.mirror]]
      location = "n.x"
      [[registry]]
      location = "n.x"
      blocked = true`
    expect(placesOf('r.x/a:1', text)).toEqual(['m.x/a', 'n.x/a blocked', 'r.x/a blocked'])
  })

  test('but for one tag that alone is blocked', () => {
    const text = '[[registry]]\nprefix = "r.x/a:bad"\nlocation = "r.x/a:bad"\nblocked = true'
    expect(placesOf('r.x/a:bad', text)).toEqual(['r.x/a blocked'])
    expect(placesOf('r.x/a:good', text)).toEqual(['r.x/a'])
  })
})

describe('a short name', () => {
  const aliases = '[aliases]\n"app" = "r.x/team/app"\n"team/app" = "r.y/app"\n'
  test.for([
    ['app', ['r.x/team/app:latest']],
    ['app:v1', ['r.x/team/app:v1']],
    [`app@${digest}`, [`r.x/team/app@${digest}`]],
    ['team/app', ['r.y/app:latest']],
    ['other', ['docker.io/library/other:latest']],
    ['localhost:5000/app', ['localhost:5000/app:latest']],
    ['docker.io/app', ['docker.io/library/app:latest']],
  ] as const)('%s is %j by its alias', ([image, names]) => {
    expect(namesOf(image, aliases)).toEqual(names)
  })

  test('is searched for in the registries, in their order', () => {
    const text = 'unqualified-search-registries = ["r.x:5000", "docker.io", "localhost", "local:80"]'
    expect(namesOf('app:v1', text)).toEqual([
      'r.x:5000/app:v1',
      'docker.io/library/app:v1',
      'localhost/app:v1',
      'local:80/app:v1',
    ])
    expect(namesOf(`a/b@${digest}`, text)).toEqual([
      `r.x:5000/a/b@${digest}`,
      `docker.io/a/b@${digest}`,
      `localhost/a/b@${digest}`,
      `local:80/a/b@${digest}`,
    ])
  })

  test('is refused where it is ambiguous and the mode is enforcing', () => {
    const text = 'short-name-mode = "enforcing"\nunqualified-search-registries = ["a.x", "b.x"]'
    expect(() => namesOf('app', text)).toThrow(/app is short, and .*r\.conf names 2 registries/)
    expect(namesOf('app', text.replace(', "b.x"', ''))).toEqual(['a.x/app:latest'])
  })
})

test('drop-ins replace lists and tables of their prefix, aliases are merged, what podman recorded goes over both', () => {
  write(
    'r.conf',
    `unqualified-search-registries = ["a.x"]\n${mirrored}\n[aliases]\na = "r.x/a"\nb = "r.x/b"\nc = "r.x/c"`,
  )
  write('r.conf.d/20.conf', '[aliases]\nb = ""\nc = "r.y/c"')
  write(
    'r.conf.d/10.conf',
    'unqualified-search-registries = ["b.x"]\n[[registry]]\nlocation = "example.com/foo"\n[aliases]\nb = "r.z/b"',
  )
  write('r.conf.d/no.txt', 'not TOML')
  write('recorded.conf', '[aliases]\na = "r.z/a"')
  const all = conf()()
  const resolve = (name: string) => fullNames(name, all).references.map(({ tagged }) => tagged)
  expect(['a', 'b', 'c'].flatMap(resolve)).toEqual(['r.z/a:latest', 'b.x/b:latest', 'r.y/c:latest'])
  expect(all.registries.map(({ prefix, mirrors }) => [prefix, mirrors.length])).toEqual([
    ['example.com/foo', 0],
    ['example.com', 0],
  ])
})

test('a change of any of the files, and a new one, is seen at the next reading', () => {
  const read = conf()
  expect(read().searchRegistries).toBeUndefined()
  write('r.conf.d/1.conf', 'unqualified-search-registries = ["a.x"]')
  expect(read().searchRegistries).toEqual(['a.x'])
  write('r.conf.d/1.conf', 'unqualified-search-registries = ["b.x"]')
  expect(read().searchRegistries).toEqual(['b.x'])
  rmSync(join(directory, 'r.conf.d/1.conf'))
  expect(read().searchRegistries).toBeUndefined()
})

test('a place without a repository is refused by the line that makes it', () => {
  const text = '[[registry]]\nprefix = "r.x/a"\nlocation = "s.x"'
  expect(() => placesOf('r.x/a:1', text)).toThrow(/r\.conf:1 .*names no repository/)
})

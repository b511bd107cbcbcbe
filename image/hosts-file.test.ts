import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { parseHostsFile } from './hosts-file.ts'

const parse = (text: string) => parseHostsFile(text, '/c/host/hosts.toml')

test('the hosts come in the order of the file, the server last', () => {
  const entries = parse(`
    server = "https://origin.example"
    [host."https://b.example/mirror"]
      capabilities = ["pull"]
    [host."http://a.example:5000"]
      skip_verify = true
    [host."c.example/v2/x"]
      override_path = true
  `)
  expect(entries.map(({ root }) => root?.href)).toEqual([
    'https://b.example/mirror/v2',
    'http://a.example:5000/v2',
    'https://c.example/v2/x',
    'https://origin.example/v2',
  ])
  expect(entries.map(({ canPull, canResolve }) => [canPull, canResolve])).toEqual([
    [true, false],
    [true, true],
    [true, true],
    [true, true],
  ])
  expect(entries.map(({ skipVerify }) => skipVerify)).toEqual([undefined, true, undefined, undefined])
})

test('without a server the last entry is the registry itself, and the settings of the file are its own', () => {
  expect(parse('ca = "own.crt"')).toEqual([
    expect.objectContaining({ root: undefined, caFiles: ['own.crt'], canResolve: true }),
  ])
})

test.for([
  ['client = "c.pem"', [['c.pem', '']]],
  [
    'client = ["a.pem", "b.pem"]',
    [
      ['a.pem', ''],
      ['b.pem', ''],
    ],
  ],
  [
    'client = [["c.cert", "c.key"], ["d.pem", ""]]',
    [
      ['c.cert', 'c.key'],
      ['d.pem', ''],
    ],
  ],
] as const)('%s names certificates and keys', ([text, pairs]) => {
  expect(parse(text)[0]?.clientFiles).toEqual(pairs)
})

test('headers may have several values, timeouts are Go durations', () => {
  const [entry] = parse('dial_timeout = "1m1.5s"\n[header]\nx-a = "1"\nx-b = ["2", "3"]')
  expect(entry).toMatchObject({ dialTimeoutMs: 61_500, headers: { 'x-a': ['1'], 'x-b': ['2', '3'] } })
})

test.for([
  ['server = "https://a"\nserver = "https://b"', 'hosts.toml:2: '],
  ['server = 5', 'server: '],
  ['skip_verfy = true', 'skip_verfy is not a key: is skip_verify meant?'],
  [
    '[host."https://m"]\ncapabilites = ["pull"]',
    'host."https://m": capabilites is not a key: is capabilities meant?',
  ],
  ['[host."https://m"]\ncapabilities = ["fetch"]', 'host."https://m".capabilities.0: '],
  ['[host."ftp://m"]', 'host."ftp://m" is no http or https URL'],
  ['[host."https://"]', 'is no http or https URL'],
  ['proxy = "socks5://p:1"', 'proxy: must be the URL of an http or https proxy'],
  ['proxy = "http://p/x"', 'proxy: must be the URL of an http or https proxy'],
  ['ca = 1', 'ca: must be a path or a list of paths'],
  ['client = [["a"]]', 'client: must be a path, a list of paths, or a list of [certificate, key] pairs'],
  ['dial_timeout = "soon"', 'dial_timeout: must be a duration'],
  ['[header]\n"a b" = "x"', 'header "a b" has characters'],
] as const)('%s is refused: %s', ([text, message]) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringMatching(/^\/c\/host\/hosts\.toml:\d+: /),
    }),
  )
  expect(() => parse(text)).toThrow(message)
})

test.for([
  '[header]\nAuthorization = "Bearer s3cret\n',
  '[header]\nAuthorization = ["s3cret", 5]',
  '[header]\nAuthorization = "s3cret\\u0000"',
  '[host."https://user:s3cret@m"]',
  '[host."https://user:s3cret@m"]\nca = 1',
  'proxy = "ftp://user:s3cret@p"',
])('a secret is not in the error about %j', (text) => {
  let message = ''
  try {
    parse(text)
  } catch (thrown) {
    message = String(thrown)
  }
  expect(message).toContain('hosts.toml')
  expect(message).not.toContain('s3cret')
})

test('any text is read or refused with the name of the file', () => {
  const line = fc.constantFrom(
    'server = "a"',
    '[host."b"]',
    'ca = []',
    'client = "x"',
    '[header]',
    'x = 1',
    '[',
    '',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(line).map((lines) => lines.join('\n')),
      ),
      (text) => {
        try {
          expect(parse(text).length).toBeGreaterThan(0)
        } catch (thrown) {
          if (!(thrown instanceof CriError)) throw thrown
          expect(thrown.message).toMatch(/^\/c\/host\/hosts\.toml:\d+: /)
        }
      },
    ),
  )
})

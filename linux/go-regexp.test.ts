import { expect, test } from 'vitest'
import { goRegExp } from './go-regexp.ts'

test.for<[string, string, boolean]>([
  ['^/usr/bin/(?:ba)?sh$', '/usr/bin/bash', true],
  ['sh', '/bin/sh -c', true],
  ['(?i)^YES$', 'yes', true],
  ['^YES$', 'yes', false],
  ['(?s)a.b', 'a\nb', true],
  ['\\Aroot\\z', 'root', true],
  ['\\Aroot\\z', 'root\n', false],
  ['^a\\-b\\@c\\/d$', 'a-b@c/d', true],
  ['^[a\\-z]$', '-', true],
  ['(?P<name>x)+', 'xx', true],
  ['(?i:yes)no', 'YESno', true],
  ['^io\\.kubernetes\\..*', 'io.kubernetes.cri', true],
])('%s on %j: %s', ([pattern, text, expected]) => {
  expect(goRegExp(pattern).test(text)).toBe(expected)
})

test.for(['(', '[[:alpha:]]', '\\pN', '\\Qa.b\\E', '(?U)a', '\\_'])(
  '%s is not taken for something else',
  (pattern) => {
    expect(() => goRegExp(pattern)).toThrow(`has ${JSON.stringify(pattern)}, which is no regular expression`)
  },
)

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { resolveUser } from './user.ts'

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
broken:x:many:1::/:
www-data:x:33:34:www:/var/www:/bin/false
default-user:x:1000:1000::/home:/bin/sh
`
const group = `root:x:0:
wheel:x:10:root
www-data:x:34:www-data
extra:x:50000:default-user,www-data
`
const request = (user: string, gid?: number, supplementalGroups: readonly number[] = []) => ({
  user,
  group: gid,
  supplementalGroups,
})

test.for([
  { who: request(''), image: '', is: [0, 0, [0, 10]] },
  { who: request(''), image: '1000', is: [1000, 1000, [1000, 50000]] },
  { who: request(''), image: 'www-data', is: [33, 34, [34, 50000]] },
  { who: request(''), image: '1003:1004', is: [1003, 1004, [1004]] },
  { who: request(''), image: 'www-data:1004', is: [33, 1004, [1004, 50000]] },
  { who: request(''), image: 'www-data:extra', is: [33, 50000, [50000]] },
  { who: request(''), image: '1000:', is: [1000, 1000, [1000, 50000]] },
  { who: request('0'), image: 'www-data', is: [0, 0, [0, 10]] },
  { who: request('1234'), image: 'www-data', is: [1234, 0, [0]] },
  { who: request('default-user'), image: '', is: [1000, 1000, [1000, 50000]] },
  { who: request('1000', 7), image: '', is: [1000, 7, [7, 50000]] },
  { who: request('1000:8', 7), image: '', is: [1000, 7, [7, 50000]] },
  { who: request('1234', 7, [9, 7, 8]), image: '', is: [1234, 7, [7, 8, 9]] },
  { who: request('', undefined, [1234]), image: '', is: [0, 0, [0, 10, 1234]] },
] as const)('$who.user (group $who.group) with the image user "$image" is $is', ({ who, image, is }) => {
  const [uid, gid, additionalGids] = is
  expect(resolveUser(who, image, passwd, group)).toEqual({ uid, gid, additionalGids })
})

test.for([
  { who: request('default-user'), image: '', is: [1000, 1000, [1000]] },
  { who: request('1000', 7, [9, 8]), image: 'www-data', is: [1000, 7, [7, 8, 9]] },
  { who: request('', undefined, [9]), image: 'www-data:extra', is: [33, 50000, [9, 50000]] },
] as const)('strictly, $who.user ($who.group, $who.supplementalGroups) is $is', ({ who, image, is }) => {
  const [uid, gid, additionalGids] = is
  const strict = { ...who, strictGroups: true }
  expect(resolveUser(strict, image, passwd, group)).toEqual({ uid, gid, additionalGids })
})

test('numbers need no files', () => {
  expect(resolveUser(request('5:6'), '', undefined, undefined)).toEqual({
    uid: 5,
    gid: 6,
    additionalGids: [6],
  })
})

test.for([
  [request('nobody'), '', "user nobody is not in the image's /etc/passwd"],
  [request('broken'), '', 'user broken is not in'],
  [request(''), '1000:staff', "group staff is not in the image's /etc/group"],
  [request('', 5), '1000', 'group 5 is given without a user'],
  [request('a:b:c'), '', 'not of the form USER or USER:GROUP'],
  [request('2147483648'), '', 'user id 2147483648 is out of range'],
  [request('99999999999999999999'), '', 'out of range'],
  [request('-1'), '', 'user -1 is not in'],
  [request('0', -1), '', 'group id -1 is out of range'],
  [request('0', undefined, [4294967295]), '', 'group id 4294967295 is out of range'],
] as const)('%o with the image user %j is refused: %s', ([who, image, reason]) => {
  const resolve = () => resolveUser(who, image, passwd, group)
  expect(resolve).toThrow(expect.objectContaining({ kind: 'invalid-argument' }))
  expect(resolve).toThrow(reason)
})

test('whatever the files of an image hold, there is an answer in range or a refusal', () => {
  const anyFile = fc.oneof(fc.string(), fc.stringMatching(/^([a-z0-9]{0,3}:[a-z0-9-]{0,12}[:\n,]?){0,8}$/))
  fc.assert(
    fc.property(fc.string({ maxLength: 4 }), anyFile, anyFile, (user, passwdFile, groupFile) => {
      try {
        const { uid, gid, additionalGids } = resolveUser(request(''), user, passwdFile, groupFile)
        for (const id of [uid, gid, ...additionalGids]) {
          expect(Number.isInteger(id) && id >= 0 && id <= 0x7fff_ffff).toBe(true)
        }
      } catch (thrown) {
        if (!(thrown instanceof CriError)) throw thrown
      }
    }),
  )
})

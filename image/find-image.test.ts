import { expect, test } from 'vitest'
import { digestSaid } from './find-image.ts'

const [one, two, three] = ['1', '2', '3'].map((digit) => `sha256:${digit.repeat(64)}`)
const digests = [`r.x/a@${one}`, `r.x/team/b@${one}`, `r.x/a@${two}`]

test.for([
  ['the name that was asked for', [`r.x/team/b:v1`], `r.x/team/b@${one}`],
  ['the one pulled last where its name has several', ['r.x/a:v1'], `r.x/a@${two}`],
  ['the very digest that was asked for', [`r.x/a@${one}`], `r.x/a@${one}`],
  [
    'the first of the names that has one',
    ['docker.io/library/b:latest', 'r.x/team/b:latest'],
    `r.x/team/b@${one}`,
  ],
  ['any, asked for by an id', [], `r.x/a@${one}`],
  ['any, asked for by a name that it was not pulled by', ['r.x/team:v1'], `r.x/a@${one}`],
  ['any, asked for by a digest that its name has not', [`r.x/c@${three}`], `r.x/a@${one}`],
] as const)('of an image with several digests a container is of that of %s', ([, said, digest]) => {
  expect(digestSaid(digests, said)).toBe(digest)
})

test('an image that was not pulled has none', () => {
  expect(digestSaid([], ['r.x/a:v1'])).toBeUndefined()
})

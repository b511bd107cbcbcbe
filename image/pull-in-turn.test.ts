import { expect, test } from 'vitest'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import { pullInTurn } from './pull-in-turn.ts'
import { parseReference } from './reference.ts'

const references = ['a.x/app', 'b.x/app'].map(parseReference)

async function tried(...outcomes: (ErrorKind | 'pulled')[]) {
  const asked: string[] = []
  const pull = pullInTurn('app', references, async ({ registry }) => {
    const outcome = outcomes[asked.push(registry) - 1] ?? 'pulled'
    if (outcome !== 'pulled') throw new CriError(outcome, `${registry}: ${outcome}`)
    return registry
  })
  const result = await pull.catch((thrown: CriError) => `${thrown.kind}: ${thrown.message}`)
  return { asked, result }
}

test.for([
  [['pulled'], ['a.x'], 'a.x'],
  [['not-found', 'pulled'], ['a.x', 'b.x'], 'b.x'],
  [
    ['unavailable', 'not-found'],
    ['a.x', 'b.x'],
    'not-found: pull app, a short name: a.x: unavailable; b.x: not-found',
  ],
  [['unverified', 'pulled'], ['a.x'], 'unverified: a.x: unverified'],
  [['cancelled', 'pulled'], ['a.x'], 'cancelled: a.x: cancelled'],
] as const)('%j: %j are asked, and what comes of it is %s', async ([outcomes, asked, result]) => {
  expect(await tried(...outcomes)).toEqual({ asked, result })
})

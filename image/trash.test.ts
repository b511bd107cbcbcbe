import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { Trash } from './trash.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'trash-'))
  mkdirSync(join(home, 'tree/deep'), { recursive: true })
})
afterEach(() => rmSync(home, { recursive: true }))

function opened(remove: (path: string) => Promise<void>, isLow = () => false) {
  const journal: string[] = []
  const at = (level: string) => (_fields: object, message: string) =>
    void journal.push(`${level}: ${message}`)
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { journal, trash: new Trash(join(home, 'trash'), { remove }, log, isLow) }
}

const removing = async (path: string): Promise<void> => rmSync(path, { recursive: true })

test('a tree is out of sight at once, and deleted when the trash is settled', async () => {
  const { trash } = opened(removing)
  trash.discard(join(home, 'tree'))
  trash.discard(join(home, 'nothing'))
  expect(existsSync(join(home, 'tree'))).toBe(false)
  await trash.settled()
  expect(readdirSync(join(home, 'trash'))).toEqual([])
})

test('where the disk has room nobody waits for a deletion', async () => {
  const deletion = Promise.withResolvers<void>()
  const { trash } = opened(() => deletion.promise)
  trash.discard(join(home, 'tree'))
  await trash.freed()
  deletion.resolve()
  await trash.settled()
})

test('where the disk runs low who waits for what was discarded does not wait for what comes after', async () => {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { trash } = opened(
    (path) => (readdirSync(path).includes('deep') ? first.promise : second.promise),
    () => true,
  )
  trash.discard(join(home, 'tree'))
  const deleted = trash.freed()
  mkdirSync(join(home, 'later'))
  trash.discard(join(home, 'later'))
  await trash.freed(1)
  first.resolve()
  await deleted
  second.resolve()
  await trash.settled()
})

test('a deletion that failed is tried once more: another job may have ended its thread', async () => {
  const asked: string[] = []
  const { trash, journal } = opened(async (path) => {
    asked.push(path)
    if (asked.length === 1) throw new CriError('internal', 'the untar thread failed')
    await removing(path)
  })
  trash.discard(join(home, 'tree'))
  await trash.settled()
  expect([asked.length, journal, readdirSync(join(home, 'trash'))]).toEqual([2, [], []])
})

test.for([
  ['is logged', new Error('EPERM'), 'warn'],
  ['by a stop is not', new CriError('cancelled', 'closing'), 'debug'],
] as const)(
  'a deletion that fails %s, and is tried again after the next start',
  async ([, failure, level]) => {
    const first = opened(() => Promise.reject(failure))
    first.trash.discard(join(home, 'tree'))
    await first.trash.settled()
    expect(first.journal).toEqual([`${level}: a tree was not deleted: the next start tries again`])
    expect(readdirSync(join(home, 'trash'))).toHaveLength(1)
    const second = opened(removing)
    second.trash.empty()
    await second.trash.settled()
    expect(readdirSync(join(home, 'trash'))).toEqual([])
  },
)

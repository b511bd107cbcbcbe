import { expect, test } from 'vitest'
import { KeyedMutex } from './keyed-mutex.ts'

/** Lets everything that can go on go on. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}

function journalled() {
  const mutex = new KeyedMutex()
  const journal: string[] = []
  const gates = new Map<string, () => void>()
  const hold = async (key: string, name: string, shared = false): Promise<void> => {
    using _lock = await (shared ? mutex.acquireShared(key) : mutex.acquire(key))
    journal.push(`${name} in`)
    await new Promise<void>((resolve) => gates.set(name, resolve))
    journal.push(`${name} out`)
  }
  const leave = async (name: string): Promise<void> => {
    gates.get(name)?.()
    await settle()
  }
  return { hold, journal, leave }
}

test('two holders of one key never overlap, two keys do', async () => {
  const { hold, journal, leave } = journalled()
  const all = [hold('a', 'a1'), hold('a', 'a2'), hold('b', 'b1')]
  await settle()
  expect(journal).toEqual(['a1 in', 'b1 in'])
  await leave('a1')
  expect(journal).toEqual(['a1 in', 'b1 in', 'a1 out', 'a2 in'])
  await leave('a2')
  await leave('b1')
  await Promise.all(all)
})

test('sharers hold a key together; who wants it alone waits for them, and later sharers wait behind', async () => {
  const { hold, journal, leave } = journalled()
  const all = [hold('a', 's1', true), hold('a', 's2', true), hold('a', 'x'), hold('a', 's3', true)]
  await settle()
  expect(journal).toEqual(['s1 in', 's2 in'])
  await leave('s1')
  expect(journal).not.toContain('x in')
  await leave('s2')
  expect(journal.at(-1)).toBe('x in')
  await leave('x')
  expect(journal.at(-1)).toBe('s3 in')
  await leave('s3')
  await Promise.all(all)
})

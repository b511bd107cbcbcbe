import { expect, test } from 'vitest'
import { Catalogue } from './catalogue.ts'

interface Item {
  readonly id: string
  readonly state: { readonly phase: string }
}

function catalogue(stored: readonly Item[] = []) {
  const texts = new Map(stored.map((item) => [item.id, item]))
  let problem: Error | undefined
  const act = async (change: () => void): Promise<void> => {
    if (problem !== undefined) throw problem
    change()
  }
  const records = {
    put: (item: Item) => act(() => texts.set(item.id, item)),
    remove: (id: string) => act(() => texts.delete(id)),
    all: async () => [...texts.values()],
  }
  return {
    items: new Catalogue<Item>('pod sandbox', records),
    texts,
    failWith: (error: Error | undefined) => {
      problem = error
    },
  }
}

const item = (id: string, phase = 'ready'): Item => ({ id, state: { phase } })

test('what was stored is there after a load', async () => {
  const { items } = catalogue([item('aa11'), item('bb22')])
  await items.load()
  expect(items.list()).toEqual([item('aa11'), item('bb22')])
  expect(items.get('bb')).toEqual(item('bb22'))
})

test('what is being created is not listed and not found by a client, but is known', async () => {
  const { items } = catalogue()
  await items.put(item('aa11', 'creating'))
  expect(items.list()).toEqual([])
  expect(() => items.get('aa11')).toThrow('pod sandbox aa11 not found')
  expect(items.all()).toEqual([item('aa11', 'creating')])
  expect(items.find('aa11')).toEqual(item('aa11', 'creating'))
})

test('a change that cannot be written is not shown', async () => {
  const { items, failWith } = catalogue()
  await items.put(item('aa11'))
  failWith(new Error('disk full'))
  await expect(items.put(item('aa11', 'stopped'))).rejects.toThrow('disk full')
  await expect(items.remove('aa11')).rejects.toThrow('disk full')
  expect(items.list()).toEqual([item('aa11')])
})

test('a new one whose writing failed is known: it may have been written, and is to be removed', async () => {
  const { items, failWith, texts } = catalogue()
  failWith(new Error('disk full'))
  await expect(items.put(item('aa11', 'creating'))).rejects.toThrow('disk full')
  failWith(undefined)
  for (const { id } of items.all()) await items.remove(id)
  expect([items.all(), [...texts]]).toEqual([[], []])
})

test.for([
  ['', 'invalid-argument'],
  ['a', 'invalid-argument'],
  ['c', 'not-found'],
])('id "%s" is refused as %s', async ([id, kind]) => {
  const { items } = catalogue()
  await items.put(item('aa11'))
  await items.put(item('ab22'))
  expect(() => items.get(id ?? '')).toThrow(expect.objectContaining({ kind }))
})

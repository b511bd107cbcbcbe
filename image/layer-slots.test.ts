import { expect, test } from 'vitest'
import { LayerSlots } from './layer-slots.ts'

const never = new AbortController().signal

test('who comes when all slots are taken waits its turn; who gives up loses it', async () => {
  const slots = new LayerSlots(1)
  const journal: string[] = []
  const first = await slots.take(never)
  const stop = new AbortController()
  const second = slots.take(stop.signal)
  const third = slots.take(never).then((slot) => {
    journal.push('third')
    return slot
  })
  stop.abort(new Error('given up'))
  await expect(second).rejects.toThrow('given up')
  expect(journal).toEqual([])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  ;(await third)[Symbol.dispose]()
  expect(journal).toEqual(['third'])
  using _slot = await slots.take(never)
  await expect(slots.take(AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
})

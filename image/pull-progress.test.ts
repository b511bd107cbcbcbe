import { expect, test } from 'vitest'
import { PullProgress } from './pull-progress.ts'

const layer = (name: string, sizeBytes: number) => ({ mediaType: '', digest: name, sizeBytes })

function watched() {
  const received: number[] = []
  const progress = new PullProgress('a:v1', (bytes) => received.push(bytes))
  progress.begin([layer('base', 10), layer('top', 20)])
  return { progress, received, phases: () => progress.layers.map(({ phase }) => phase) }
}

test('a layer waits, is fetched, is unpacked when all its bytes have come, and is done', () => {
  const { progress, phases } = watched()
  expect(phases()).toEqual(['waiting', 'waiting'])
  progress.received(1, 0)
  expect(phases()).toEqual(['waiting', 'fetching'])
  progress.received(1, 19)
  expect(phases()).toEqual(['waiting', 'fetching'])
  progress.received(1, 20)
  expect(phases()).toEqual(['waiting', 'unpacking'])
  progress.arrived(1)
  progress.arrived(0)
  expect(phases()).toEqual(['here', 'done'])
})

test('bytes are told as they come, those of a layer that is fetched anew again', () => {
  const { progress, received } = watched()
  for (const soFar of [0, 4, 10, 0, 10]) progress.received(0, soFar)
  progress.received(1, 5)
  expect(received).toEqual([4, 6, 10, 5])
})

import { expect, test } from 'vitest'
import { type LayerOfImage, withPatches } from './image-patches.ts'

const gaps = { implied: [], links: [{ path: 'a', target: 'b' }] }
const layer: LayerOfImage = { diffId: 'sha256:1', directory: '/layers/1', gaps }

test('an image that was given up while its patches were made is not committed, and they are gone', async () => {
  const stop = new AbortController()
  const discarded: string[] = []
  const committed: object[] = []
  const commit = async (patches: object): Promise<void> => void committed.push(patches)
  const made = withPatches([layer], commit, {
    records: { nextLayerNumber: () => 2 },
    find: () => undefined,
    pool: {
      async patch() {
        stop.abort(new Error('given up'))
        return [{ position: 0, directories: 1 }]
      },
    },
    trash: { discard: (path) => void discarded.push(path) },
    path: ({ number }) => `/layers/${number}`,
    temporary: () => '/layers/tmp-x',
    pin: () => () => {},
    signal: stop.signal,
  })
  await expect(made).rejects.toThrow('given up')
  expect([committed, discarded]).toEqual([[], ['/layers/tmp-x']])
})

import { expect, test } from 'vitest'
import { convertShmSize } from './convert-shm-size.ts'

test.for<[annotations: { [name: string]: string }, bytes: number | undefined]>([
  [{}, undefined],
  [{ other: '1Mi' }, undefined],
  [{ 'shm-size.cri-ts.io': '128Mi' }, 128 << 20],
  [{ 'shm-size.crio.io': '1G' }, 1_000_000_000],
  [{ 'io.kubernetes.cri-o.ShmSize': '1048576' }, 1 << 20],
  [{ 'io.kubernetes.cri-o.ShmSize': '1Mi', 'shm-size.cri-ts.io': '2Mi' }, 2 << 20],
])('%o is a size of %s', ([annotations, bytes]) => {
  expect(convertShmSize(annotations)).toBe(bytes)
})

test.for(['0', '-1Mi', 'much', '1e30'])('%j is refused by the name of its annotation', (size) => {
  expect(() => convertShmSize({ 'shm-size.cri-ts.io': size })).toThrow(
    expect.objectContaining({
      kind: 'invalid-argument',
      message: expect.stringContaining('annotations[shm-size.cri-ts.io]'),
    }),
  )
})

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { overlayMounter } from './overlay.ts'

test('more layers than mount(2) takes the names of are told of by their number, with what to do', () => {
  const lower = Array.from({ length: 300 }, (_, index) => join(tmpdir(), `layer-${index}`))
  const layers = { lower: ['/tmp/top', ...lower] as const, upper: '/tmp/upper', work: '/tmp/work' }
  expect(() => overlayMounter()(layers, '/tmp/target')).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringMatching(/\/tmp\/target: 301 layers are too many.*fewer layers/),
    }),
  )
})

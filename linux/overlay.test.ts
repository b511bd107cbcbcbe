import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { overlayMounter, overlayOptions } from './overlay.ts'

test('more layers than mount(2) takes the names of are told of by their number, with what to do', () => {
  const lower = Array.from({ length: 300 }, (_, index) => join(tmpdir(), `layer-${index}`))
  const layers = { lower: ['/tmp/top', ...lower] as const, upper: '/tmp/upper', work: '/tmp/work' }
  expect(() => overlayMounter('mount')(layers, '/tmp/target')).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringMatching(/\/tmp\/target: 301 layers are too many.*fewer layers/),
    }),
  )
})

test('the files of an overlay have one SELinux label, whose commas part no options', () => {
  const layers = { lower: ['/a'] as const, upper: '/u', work: '/w' }
  const optionsOf = (selinuxLabel?: string) => overlayOptions({ ...layers, selinuxLabel }, ['volatile'])
  expect(optionsOf('system_u:object_r:container_file_t:s0:c1,c2')).toMatch(
    /,context="system_u:object_r:container_file_t:s0:c1,c2",volatile$/,
  )
  expect(optionsOf()).not.toContain('context')
})

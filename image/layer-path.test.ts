import fc from 'fast-check'
import { expect, test } from 'vitest'
import { componentsOf, layerName } from './layer-path.ts'

test.for<[string, object]>([
  ['a', { kind: 'entry', parent: [], base: 'a' }],
  ['./a//b/./c/', { kind: 'entry', parent: ['a', 'b'], base: 'c' }],
  ['/etc/passwd', { kind: 'entry', parent: ['etc'], base: 'passwd' }],
  ['a/../b', { kind: 'entry', parent: [], base: 'b' }],
  ['./', { kind: 'root' }],
  ['', { kind: 'root' }],
  ['a/.wh.b', { kind: 'whiteout', parent: ['a'], base: 'b' }],
  ['a/.wh..hidden', { kind: 'whiteout', parent: ['a'], base: '.hidden' }],
  ['a/.wh..wh..opq', { kind: 'opaque', directory: ['a'] }],
  ['.wh..wh..opq', { kind: 'opaque', directory: [] }],
  ['.wh..wh.plnk/1.2', { kind: 'ignored' }],
  ['.wh..wh.aufs', { kind: 'ignored' }],
])('%s is understood', ([name, expected]) => {
  expect(layerName(name)).toEqual(expected)
})

test.for([
  ['../a', /leads out of the layer/],
  ['a/../../b', /leads out of the layer/],
  ['/..', /leads out of the layer/],
  ['a/.wh...', /hides no file/],
  ['.wh..', /hides no file/],
  ['.wh.', /hides no file/],
  ['a\0b', /zero byte/],
  ['a/'.repeat(3000), /longer than 4096 bytes/],
] as const)('%j is refused', ([name, message]) => {
  expect(() => layerName(name)).toThrow(message)
})

test('no name has a component by which it could leave the layer', () => {
  const name = fc.array(fc.constantFrom('..', '.', '', 'a', '.wh.', '.wh..', '...', '/'), { maxLength: 12 })
  fc.assert(
    fc.property(name, (parts) => {
      try {
        const components = componentsOf(parts.join('/'))
        for (const component of components) expect(component).not.toMatch(/^\.{0,2}$|\//)
      } catch (error) {
        expect(String(error)).toMatch(/leads out of the layer/)
      }
    }),
  )
})

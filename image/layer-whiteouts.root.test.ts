import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { useLayerLab } from '#test/fixtures/layer-lab.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const lab = useLayerLab()
const { at, unpack, isWhiteout, isOpaque } = lab

describe('whiteouts', () => {
  test('become what overlayfs takes for one', () => {
    unpack([{ name: 'etc/.wh.gone' }, { name: 'var/.wh..wh..opq' }, { name: 'var/new', content: 'x' }])
    expect(isWhiteout('etc/gone')).toBe(true)
    expect(isOpaque('var')).toBe(true)
    expect(readdirSync(at('var'))).toEqual(['new'])
  })

  test.for<[string, readonly TarFile[]]>([
    ['before', [{ name: '.wh.x' }, { name: 'x', content: 'mine' }]],
    ['after', [{ name: 'x', content: 'mine' }, { name: '.wh.x' }]],
  ])('hide nothing of their own layer: %s', ([, files]) => {
    unpack(files)
    expect(readFileSync(at('x'), 'utf8')).toBe('mine')
  })

  test.for<[string, readonly TarFile[]]>([
    ['before', [{ name: '.wh.d' }, { name: 'd/', type: 'directory' }, { name: 'd/f', content: 'x' }]],
    ['before an implied one', [{ name: '.wh.d' }, { name: 'd/f', content: 'x' }]],
    ['after', [{ name: 'd/f', content: 'x' }, { name: '.wh.d' }]],
  ])('of a directory that the layer has too make it opaque: %s', ([, files]) => {
    unpack(files)
    expect(isOpaque('d')).toBe(true)
    expect(readdirSync(at('d'))).toEqual(['f'])
  })

  test('of AUFS’s own are left out', () => {
    unpack([{ name: '.wh..wh.aufs' }, { name: '.wh..wh.plnk/1.1', content: 'x' }])
    expect(readdirSync(lab.layer)).toEqual([])
  })
})

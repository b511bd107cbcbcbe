import { expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { here, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)
/** Each leads over the one before, and over 1600 directories besides. */
const longWays = numbers(39).map((index): TarFile => {
  const before = index === 0 ? 'x' : `l${index - 1}`
  const linkName = `${'x/'.repeat(800)}${'../'.repeat(800)}${before}`
  return { name: `l${index}`, type: 'symlink', linkName }
})

const wayOf = (index: number): TarFile => {
  const linkName = `${`${index}/`.repeat(500)}${'../'.repeat(500)}x`
  return { name: `l${index}`, type: 'symlink', linkName }
}

test.for<[string, readonly TarFile[], (index: number) => string]>([
  ['over one long way', longWays, () => 'l38/f'],
  ['over many ways', numbers(1000).map(wayOf), (index) => `l${index}/f`],
])('hard links %s of the layer below are refused soon, and the layer is named', async ([, below, target]) => {
  await using lab = openImageLab()
  const links = numbers(1000).map(
    (index): TarFile => ({ name: `h${index}`, type: 'link', linkName: target(index) }),
  )
  const image = buildImage({ layers: [[...below, { name: 'x/f' }], links] })
  const begun = performance.now()
  await expect(lab.images.store.add(imageSource(image), never)).rejects.toThrow(
    new RegExp(`^${image.layers[1]?.diffId}: `),
  )
  expect(performance.now() - begun).toBeLessThan(4_000)
  await lab.images.settled()
  expect(here(lab.root)).toEqual({ layers: [], trash: [] })
})

test.for<[string, readonly TarFile[], RegExp]>([
  [
    'implied directories, each deep',
    numbers(12).map((index) => ({ name: `a${index}/${'x/'.repeat(2000)}f` })),
    /implies directories whose paths take more than 32 MiB/,
  ],
  [
    'directories without number',
    numbers(400).map((index) => ({ name: `a${index}/${'x/'.repeat(2000)}f` })),
    /the names and attributes of the layer's files take more than 192 MiB/,
  ],
  [
    'a directory that is longer than a path may be',
    [{ name: 'l', type: 'symlink', linkName: 'x/'.repeat(2000) }, { name: `l/${'x/'.repeat(100)}f` }],
    /is longer than 4096 bytes/,
  ],
])('an EROFS layer of %s is refused', async ([, files, why]) => {
  await using lab = openImageLab({ format: 'erofs' })
  const image = buildImage({ layers: [files] })
  const added = lab.images.store.add(imageSource(image), never).catch(describeError)
  expect(await added).toMatch(why)
  await lab.images.settled()
  expect(here(lab.root)).toEqual({ layers: [], trash: [] })
})

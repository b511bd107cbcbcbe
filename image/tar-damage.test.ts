import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { anyTarFile, readTar } from '#test/fixtures/read-tar.ts'
import { tarOf, tarParts, withChecksum } from '#test/fixtures/tar.ts'

describe('a broken tar is refused', () => {
  const whole = tarOf([{ name: 'x', content: 'x'.repeat(600) }])
  const sum = withChecksum
  const header = (change: (block: Buffer) => void): Buffer => {
    const block = Buffer.from(whole.subarray(0, 512))
    change(block)
    return Buffer.concat([sum(block), whole.subarray(512)])
  }

  test.for<[string, Buffer, RegExp]>([
    ['cut in a header', whole.subarray(0, 300), /cut off/],
    ['cut in data', whole.subarray(0, 700), /cut off/],
    ['cut after a PAX header', tarParts([{ name: 'x', pax: { path: 'y' } }]).subarray(0, 1024), /cut off/],
    ['no tar', Buffer.alloc(1024, 'text'), /checksum/],
    ['letters for a number', header((block) => block.write('zzz', 124)), /size is/],
    ['a negative size', header((block) => block.fill(0xff, 124, 136)), /negative size/],
    [
      'a size beyond all',
      header((block) => block.set([0x80, 0x7f, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 124)),
      /too large/,
    ],
    ['a PAX size of letters', tarOf([{ name: 'x', pax: { size: '12x' } }]), /size=12x/],
    ['an unknown type', header((block) => block.write('Q', 156)), /unknown tar type "Q"/],
    ['a PAX length that lies', tarOf([{ name: 'p', type: 'pax-header', content: '99 a=b\n' }]), /PAX/],
    ['a PAX record without end', tarOf([{ name: 'p', type: 'pax-header', content: '6 a=bc' }]), /PAX/],
    [
      'a header of 2 MiB',
      tarOf([{ name: 'p', type: 'pax-header', content: Buffer.alloc(2 << 20) }]),
      /1 MiB/,
    ],
  ])('%s', ([, tar, message]) => {
    expect(() => readTar(tar)).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }))
  })
})

test('no damage makes it fail in any way but its own', () => {
  const damage = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { minLength: 1, maxLength: 8 })
  const fixed = fc.boolean()
  fc.assert(
    fc.property(
      fc.array(anyTarFile, { minLength: 1, maxLength: 3 }),
      damage,
      fixed,
      (files, changes, isSummed) => {
        const tar = tarOf(files)
        for (const { at, byte } of changes) tar[at % tar.length] = byte
        if (isSummed) withChecksum(tar.subarray(0, 512))
        try {
          readTar(tar)
        } catch (error) {
          expect(error).toBeInstanceOf(CriError)
        }
      },
    ),
    { numRuns: 500 },
  )
})

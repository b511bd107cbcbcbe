import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { useErofsLab } from '#test/fixtures/erofs-lab.ts'
import { digestOf } from '#test/fixtures/image.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import { readLayerTar, verifyLayer } from './layer-tar.ts'

const lab = useErofsLab()
const tar = Buffer.concat([
  tarOf([{ name: 'a', content: Buffer.alloc(300_001, 'a') }]),
  Buffer.from('odd end'),
])
const place = () => ({ directory: lab.blob, headersFile: `${lab.blob}.headers` })

test('the tar of a layer is read from its file as it came', async () => {
  lab.mounted(tar)
  expect(Buffer.concat(await Array.fromAsync(readLayerTar(place()))).equals(tar)).toBe(true)
  expect(await verifyLayer(place(), digestOf(tar))).toEqual([])
})

test('a file that was changed, cut off or is none is told of', async () => {
  lab.mounted(tar)
  const whole = readFileSync(lab.blob)
  whole[whole.length - 1] = 0x62
  writeFileSync(lab.blob, whole)
  expect(await verifyLayer(place(), digestOf(tar))).toEqual([
    expect.stringMatching(/is not what its tar makes, from byte \d+ on/),
  ])
  whole[10_000] = 0x62
  writeFileSync(lab.blob, whole)
  expect(await verifyLayer(place(), digestOf(tar))).toEqual([expect.stringContaining('it should be sha256:')])
  truncateSync(lab.blob, 4096 + 1000)
  const missing = tar.length - 1000
  expect(await verifyLayer(place(), digestOf(tar))).toEqual([
    expect.stringContaining(`ends ${missing} bytes before its tar does`),
  ])
  writeFileSync(lab.blob, 'short')
  expect(await verifyLayer(place(), digestOf(tar))).toEqual([
    expect.stringContaining('has no mark of a layer'),
  ])
})

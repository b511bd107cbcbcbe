import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { settleImageStore } from './image-store-place.ts'

let root: string
let disk: string
beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), 'place-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  root = join(home, 'root')
  disk = join(home, 'disk')
  for (const path of [root, disk]) mkdirSync(path)
})

/** In place of a database: its store's id, and how many images are in it. */
const storeIn = (directory: string, id: string, images = 2): void =>
  writeFileSync(join(directory, 'images.db'), `${id} ${images}`)
const read = (database: string) => {
  const [storeId = '', images = ''] = readFileSync(database, 'utf8').split(' ')
  return { storeId, images: Number(images), used: Number(images) / 2 }
}
/** As a start of the daemon does, which makes the database where there is none. */
function start(imageRoot: string, newId = 'new'): void {
  const place = settleImageStore({ root, imageRoot }, read)
  const database = join(imageRoot, 'images.db')
  mkdirSync(imageRoot, { recursive: true })
  if (!existsSync(database)) storeIn(imageRoot, newId, 0)
  place.accept(read(database).storeId)
}
const refusal = (imageRoot: string) => (): void => start(imageRoot, 'other')

test('a new one may lie anywhere, and one that holds nothing is left', () => {
  start(disk, 'a')
  start(root, 'b')
  start(root)
})

test('one with images is not left behind, in either direction, until it was moved', () => {
  storeIn(root, 'a')
  start(root)
  expect(refusal(disk)).toThrow(
    `to be ${disk}, but 2 images and 1 root file systems of containers are in ${root}: set image.image_store = "${root}", or move it`,
  )
  expect(refusal(disk)).toThrow() // The failed start has not forgotten where they are.
  renameSync(join(root, 'images.db'), join(disk, 'images.db'))
  start(disk)
  expect(refusal(root)).toThrow(`are in ${disk}`)
})

test('where its disk is not mounted nothing is made in its place', () => {
  storeIn(disk, 'a')
  start(disk)
  const database = join(disk, 'images.db')
  rmSync(database)
  for (let again = 0; again < 2; again += 1) {
    expect(refusal(disk)).toThrow(
      `${database} is missing, but ${root} was used with an image store there: mount the disk that holds it`,
    )
  }
  expect(() => readFileSync(database)).toThrow('ENOENT')
  expect(refusal(root)).toThrow('mount the disk')
  storeIn(disk, 'a')
  start(disk)
})

test('another one in its place is refused, and not taken for it at the next start', () => {
  storeIn(disk, 'a')
  start(disk)
  storeIn(disk, 'b', 0)
  for (let again = 0; again < 2; again += 1) {
    expect(refusal(disk)).toThrow(`images.db is of another image store than the one that ${root}`)
  }
})

test('one that is gone can be given up', () => {
  storeIn(disk, 'a')
  start(disk)
  rmSync(disk, { recursive: true })
  expect(refusal(root)).toThrow(`remove ${join(root, 'image-store')}`)
  rmSync(join(root, 'image-store'))
  start(root)
})

test('the place that a version without ids noted is taken over', () => {
  storeIn(disk, 'a')
  writeFileSync(join(root, 'image-store'), `${disk}\n`)
  expect(refusal(root)).toThrow(`are in ${disk}`)
  start(disk)
  storeIn(disk, 'b')
  expect(refusal(disk)).toThrow('of another image store')
})

test('one whose disk cannot be read is not taken for missing', () => {
  storeIn(disk, 'a')
  start(disk)
  rmSync(disk, { recursive: true })
  writeFileSync(disk, '')
  expect(() => settleImageStore({ root, imageRoot: disk }, read)).toThrow(
    `the image store's ${join(disk, 'images.db')} cannot be read`,
  )
  expect(() => settleImageStore({ root, imageRoot: root }, read)).toThrow('cannot be read')
})

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
const full = () => ({ images: 2, used: 1 })
const empty = () => ({ images: 0, used: 0 })
const storeIn = (directory: string): void => writeFileSync(join(directory, 'images.db'), '')

test('a new one may lie anywhere, and one that holds nothing is left', () => {
  settleImageStore({ root, imageRoot: disk }, full)
  storeIn(disk)
  settleImageStore({ root, imageRoot: root }, empty)
})

test('one with images is not left behind, in either direction, until it was moved', () => {
  storeIn(root)
  settleImageStore({ root, imageRoot: root }, full)
  const moved = (): void => settleImageStore({ root, imageRoot: disk }, full)
  expect(moved).toThrow(
    `to be ${disk}, but 2 images and 1 root file systems of containers are in ${root}: set image.image_store = "${root}", or move it`,
  )
  expect(moved).toThrow() // The failed start has not forgotten where they are.
  renameSync(join(root, 'images.db'), join(disk, 'images.db'))
  moved()
  expect(() => settleImageStore({ root, imageRoot: root }, full)).toThrow(`are in ${disk}`)
})

test('one whose disk is gone can be given up', () => {
  settleImageStore({ root, imageRoot: disk }, full)
  rmSync(disk, { recursive: true })
  settleImageStore({ root, imageRoot: root }, full)
})

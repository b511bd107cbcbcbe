import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mount, unmount } from '#linux/libc.ts'
import { checkErofs } from './erofs-support.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-erofs-check-')
})
afterEach(() => rmSync(home, { recursive: true }))

test('a kernel that mounts files as EROFS is good, and nothing is left of the trial', async () => {
  await checkErofs(home, home)
  expect(readdirSync(home)).toEqual([])
})

test('what is missing is said with the remedy, and nothing is left of the trial', async () => {
  const lower = join(home, 'lower')
  // Two overlays over each other are as deep as file systems may be stacked.
  const places = ['one', 'two'].map((name) => join(home, name))
  mkdirSync(lower)
  let below = lower
  for (const place of places) {
    for (const name of [place, `${place}-upper`, `${place}-work`]) mkdirSync(name)
    mount('overlay', place, 'overlay', 0, `lowerdir=${below},upperdir=${place}-upper,workdir=${place}-work`)
    below = place
  }
  try {
    await expect(checkErofs(below, home)).rejects.toThrow(
      /^\[image\] format = "erofs": this kernel .* run Linux 6.12 or newer, .* not on an overlay; or set format = "overlay"$/,
    )
    expect(readdirSync(below)).toEqual([])
    expect(readdirSync(home)).not.toContain('check')
  } finally {
    for (const place of places.toReversed()) await unmount(place)
  }
})

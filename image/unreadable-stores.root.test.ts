import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openForeignImageRecords } from '#store/image-records.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { base, here, never, one, openImageLab, tag } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import { mountStale } from '#test/fixtures/stale-mount.ts'

test('layers of an additional store that cannot be read are not lost: the store is named, and they are there again with it', async () => {
  await using stack = new AsyncDisposableStack()
  const theirs = stack.use(openImageLab())
  await theirs.images.store.add(imageSource(one, { tags: [tag('a')] }), never)
  await theirs.close()
  const records = stack.use(openForeignImageRecords(join(theirs.root, 'images.db')))
  const additional = [{ root: theirs.root, records }]
  const lab = stack.use(openImageLab({ additional }))
  const derived = buildImage({ layers: [base], config: { User: 'x' } })
  await lab.images.store.add(imageSource(derived), never)
  await lab.images.rootfs.mount('c', one.id)
  {
    await using _ = mountStale(join(theirs.root, 'layers'))
    await lab.reopen()
    expect(lab.images.store.list().map(({ id }) => id)).toEqual([derived.id])
    expect(lab.journal.filter((line) => line.startsWith('error'))).toEqual([
      `error an image store cannot be read: its layers are of no use before the next start (${theirs.root})`,
    ])
  }
  await lab.reopen({})
  expect(lab.images.store.list().map(({ id }) => id)).toEqual([derived.id])
  const root = await lab.images.rootfs.mount('c', one.id)
  expect(readFileSync(join(root, 'one'), 'utf8')).toBe('1')
  expect(lab.journal.filter((line) => line.includes('lost'))).toEqual([])
})

test('a store whose layers cannot be read does not start, and has all of its images when it does', async () => {
  await using lab = openImageLab()
  await lab.images.store.add(imageSource(one), never)
  await lab.close()
  {
    await using _ = mountStale(join(lab.root, 'layers'))
    await expect(lab.reopen()).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: `the image store ${lab.root} cannot be read: see to its disk`,
    })
  }
  await lab.reopen()
  expect(lab.images.store.list().map(({ id }) => id)).toEqual([one.id])
  expect(here(lab.root)).toEqual({ layers: ['1', '2'], trash: [] })
})

test('a layer in whose place nothing can be looked at is no broken one: a repair leaves it', async () => {
  await using lab = openImageLab()
  await lab.images.store.add(imageSource(one), never)
  await using _ = mountStale(join(lab.root, 'layers/1'))
  const { problems } = await lab.images.upkeep.check({ repair: true, deep: true }, never)
  expect(problems).toMatchObject([{ checked: false, repaired: false }])
  expect(lab.images.store.list()).toHaveLength(1)
})

test('a store whose disk is away has no broken layers: a repair leaves all, and they run when it is back', async () => {
  await using lab = openImageLab()
  await lab.images.store.add(imageSource(one), never)
  renameSync(join(lab.root, 'layers'), join(lab.root, 'away'))
  const { problems } = await lab.images.upkeep.check({ repair: true, deep: true }, never)
  renameSync(join(lab.root, 'away'), join(lab.root, 'layers'))
  expect(problems).toHaveLength(2)
  for (const problem of problems) {
    expect(problem).toMatchObject({ checked: false, repaired: false })
    expect(problem.what).toContain(`${lab.root}/layers is not there: mount the disk of the image store`)
  }
  expect((await lab.images.upkeep.check({ repair: true, deep: true }, never)).problems).toEqual([])
  expect(lab.images.store.list()).toHaveLength(1)
})

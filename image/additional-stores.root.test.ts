import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MS_BIND, MS_RDONLY, mount, unmount } from '#linux/libc.ts'
import { openForeignImageRecords } from '#store/image-records.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { base, here, type ImageLab, never, one, openImageLab, tag, two } from '#test/fixtures/image-lab.ts'
import { imageSource, pieces } from '#test/fixtures/image-sources.ts'

const MS_REMOUNT = 0x20

/** A store that was filled and closed, on a mount that is read-only until the end of the test. */
async function baked(stack: AsyncDisposableStack): Promise<ImageLab> {
  const lab = stack.use(openImageLab())
  await lab.images.store.add(imageSource(one, { tags: [tag('a'), tag('b')] }), never)
  await lab.close()
  mount(lab.root, lab.root, '', MS_BIND)
  stack.defer(() => unmount(lab.root))
  mount('', lab.root, '', MS_BIND | MS_REMOUNT | MS_RDONLY)
  return lab
}

async function labs(stack: AsyncDisposableStack) {
  const theirs = await baked(stack)
  const records = stack.use(openForeignImageRecords(join(theirs.root, 'images.db')))
  const additional = [{ root: theirs.root, records }]
  return { theirs, additional, lab: stack.use(openImageLab({ additional })) }
}

describe('images of a read-only additional store', () => {
  test('are listed as pinned, run without being copied, and outlive a restart of what runs', async () => {
    await using stack = new AsyncDisposableStack()
    const { lab, theirs } = await labs(stack)
    const { store } = lab.images
    expect(store.list()).toMatchObject([
      { id: one.id, tags: [tag('a'), tag('b')], pinned: true, store: theirs.root },
    ])
    const root = await lab.images.rootfs.mount('c', one.id)
    expect(readFileSync(join(root, 'one'), 'utf8')).toBe('1')
    expect(here(lab.root).layers).toEqual([])
    expect(await store.usage()).toMatchObject({ images: { usedBytes: 0 } })
    await lab.reopen({}) // Its configuration has no additional store any more.
    expect(lab.images.store.list()).toEqual([])
    expect(readFileSync(join(await lab.images.rootfs.mount('c', one.id), 'etc/base'), 'utf8')).toBe('base')
    await lab.images.rootfs.remove('c')
    await lab.images.settled()
    expect(here(theirs.root).layers).toEqual(['1', '2'])
  })

  test('cannot be removed, which is told with the remedy', async () => {
    await using stack = new AsyncDisposableStack()
    const { lab, theirs } = await labs(stack)
    await expect(lab.images.store.remove(tag('a'))).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringContaining(`lies in ${theirs.root}, which is only read: take that out of`),
    })
    expect(lab.images.store.find(tag('a'))?.id).toBe(one.id)
  })

  test('spare a pull their layers, and give a name to an image that is pulled under it', async () => {
    await using stack = new AsyncDisposableStack()
    const { lab } = await labs(stack)
    const { store } = lab.images
    const opened: number[] = []
    const open = async (index: number, _signal: AbortSignal, bytes: Buffer) => {
      opened.push(index)
      return pieces(bytes)
    }
    await store.add(imageSource(two, { tags: [tag('b')], open }), never)
    expect(opened).toEqual([1])
    expect(here(lab.root).layers).toHaveLength(1)
    expect(store.find(tag('a'))).toMatchObject({ id: one.id, tags: [tag('a')] })
    expect(store.find(tag('b'))?.id).toBe(two.id)
    expect(readFileSync(join(await lab.images.rootfs.mount('c', two.id), 'etc/base'), 'utf8')).toBe('base')
  })

  test('become our own by a pull, which fetches nothing, and theirs again when that is removed', async () => {
    await using stack = new AsyncDisposableStack()
    const { lab } = await labs(stack)
    const { store } = lab.images
    const open = () => Promise.reject(new Error('nothing is to be fetched'))
    await store.add(imageSource(one, { tags: [tag('c')], open }), never)
    expect(store.list()).toMatchObject([{ id: one.id, tags: [tag('c')], pinned: false }])
    await store.remove(tag('c'))
    expect(store.list()).toMatchObject([{ id: one.id, tags: [tag('a'), tag('b')], pinned: true }])
  })

  test('whose store is gone at the next start go with what was made of them', async () => {
    await using stack = new AsyncDisposableStack()
    const { lab, theirs } = await labs(stack)
    const derived = buildImage({ layers: [base], config: { User: 'x' } })
    await lab.images.store.add(imageSource(derived), never)
    await unmount(theirs.root)
    await theirs[Symbol.asyncDispose]()
    await lab.reopen({})
    expect(lab.images.store.list()).toEqual([])
    expect(lab.journal).toContain('warn a layer is lost: its images are dropped, pull them again')
  })
})

test('a store that a daemon runs on is refused, and so is one that is none', async () => {
  await using lab = openImageLab()
  await lab.images.store.add(imageSource(one), never)
  const database = join(lab.root, 'images.db')
  expect(() => openForeignImageRecords(database)).toThrow(/images\.db is in use, or was not closed: end the/)
  expect(() => openForeignImageRecords('/nonexistent/images.db')).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringContaining('/nonexistent/images.db'),
    }),
  )
})

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Relabels } from './relabels.ts'
import { selinuxLabelOf } from './selinux-label.ts'

const FILES = 5_000
let directory: string
beforeAll(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  for (let index = 0; index < FILES; index += 1) {
    if (index % 1000 === 0) mkdirSync(join(directory, `big/${index / 1000}`), { recursive: true })
    writeFileSync(join(directory, `big/${Math.floor(index / 1000)}/${index}`), '')
  }
  mkdirSync(join(directory, 'small'))
  writeFileSync(join(directory, 'file'), '')
})
afterAll(() => rmSync(directory, { recursive: true }))
const at = (name: string): string => join(directory, name)
const labelOf = (name: string): string | undefined => selinuxLabelOf(Buffer.from(at(name)))

/** How many of the big tree's files have it. */
const labelled = (label: string): number =>
  readdirSync(at('big'), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && selinuxLabelOf(Buffer.from(join(entry.parentPath, entry.name))) === label,
  ).length

test('a big tree is labelled while the daemon serves', async () => {
  await using relabels = new Relabels()
  let ticks = 0
  const timer = setInterval(() => {
    ticks += 1
  }, 1)
  await relabels.relabel('pod', { paths: [at('big'), at('file')], label: 'u:r:first:s0' })
  clearInterval(timer)
  expect(labelled('u:r:first:s0')).toBe(FILES)
  expect(labelOf('big')).toBe('u:r:first:s0')
  expect(labelOf('file')).toBe('u:r:first:s0')
  expect(ticks).toBeGreaterThan(2)
})

test('what is given up ends, is refused for as long as that holds, and is done from where it was', async () => {
  await using relabels = new Relabels()
  const request = { paths: [at('big')], label: 'u:r:second:s0' }
  const mine = relabels.relabel('mine', request)
  const other = relabels.relabel('other', { paths: [at('small')], label: 'u:r:second:s0' })
  const cancelled = { kind: 'cancelled', message: expect.stringContaining(at('big')) }
  {
    using _given = relabels.giveUp('mine')
    await expect(mine).rejects.toMatchObject(cancelled)
    await expect(relabels.relabel('mine', request)).rejects.toMatchObject(cancelled)
  }
  await other
  expect(labelOf('small')).toBe('u:r:second:s0')
  expect(labelOf('big')).not.toBe('u:r:second:s0')
  await relabels.relabel('mine', request)
  expect(labelled('u:r:second:s0')).toBe(FILES)
})

test('one that waits for its turn is given up too, and the next has it', async () => {
  await using relabels = new Relabels({ maxAtOnce: 1 })
  const [label, small] = ['u:r:third:s0', [at('small')]]
  const first = relabels.relabel('first', { paths: [at('big')], label })
  const second = relabels.relabel('second', { paths: small, label })
  const third = relabels.relabel('third', { paths: small, label: 'u:r:fourth:s0' })
  const rejected = expect(second).rejects.toMatchObject({ kind: 'cancelled' })
  using _second = relabels.giveUp('second')
  await rejected
  const firstRejected = expect(first).rejects.toMatchObject({ kind: 'cancelled' })
  using _first = relabels.giveUp('first')
  await firstRejected
  await third
  expect(labelOf('small')).toBe('u:r:fourth:s0')
})

test('a failure says what and why, and the end of the daemon ends all', async () => {
  await using relabels = new Relabels()
  const missing = relabels.relabel('a', { paths: [at('missing')], label: 'u:r:t:s0' })
  await expect(missing).rejects.toThrow(`${at('missing')}: ENOENT`)
  const long = relabels.relabel('a', { paths: [at('big')], label: 'u:r:last:s0' })
  const ended = expect(long).rejects.toMatchObject({ kind: 'cancelled' })
  await relabels[Symbol.asyncDispose]()
  await ended
})

test('what is given up at any time of it does the process no harm', async () => {
  await using relabels = new Relabels()
  for (let round = 0; round < 15; round += 1) {
    const long = relabels.relabel('pod', { paths: [at('big')], label: `u:r:${round}:s0` })
    const outcome = long.then(
      () => 'done',
      ({ kind }: { kind: string }) => kind,
    )
    await new Promise((resolve) => setTimeout(resolve, round * 7))
    relabels.giveUp('pod')[Symbol.dispose]()
    expect(await outcome).toMatch(/^(cancelled|done)$/)
  }
  await relabels.relabel('pod', { paths: [at('big')], label: 'u:r:again:s0' })
  expect(labelled('u:r:again:s0')).toBe(FILES)
})

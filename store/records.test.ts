import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { containerRecord, sandboxRecord } from '#test/fakes/records.ts'
import { openRecords } from './records.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'records-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const path = (): string => join(directory, 'sub', 'records.db')

test('what was put is there after the store is opened again, once, in its last form', async () => {
  const first = openRecords(path())
  const record = sandboxRecord('a1')
  await first.sandboxes.put(record)
  await first.sandboxes.put({ ...record, state: { phase: 'stopped', ips: [] } })
  first.close()
  const second = openRecords(path())
  expect(await second.sandboxes.all()).toEqual([{ ...record, state: { phase: 'stopped', ips: [] } }])
  await second.sandboxes.remove('a1')
  await second.sandboxes.remove('a1')
  expect(await second.sandboxes.all()).toEqual([])
  second.close()
})

test('a record that cannot be read is set aside, and the others are there', async () => {
  const store = openRecords(path())
  await store.sandboxes.put(sandboxRecord('good'))
  const other = new DatabaseSync(path())
  other.exec(`INSERT INTO sandboxes VALUES ('broken', '{'), ('empty', '{"id":"empty"}')`)
  other.close()
  expect((await store.sandboxes.all()).map(({ id }) => id)).toEqual(['good'])
  expect(store.setAside()).toHaveLength(2)
  expect(await store.sandboxes.all()).toHaveLength(1)
  store.close()
})

test('a record that lacks any part of it is set aside, told of by its name, and the others are there', async () => {
  const store = openRecords(path())
  const kinds = [
    [store.sandboxes, sandboxRecord('good')],
    [store.containers, containerRecord('good')],
  ] as const
  for (const [records, good] of kinds) {
    const parts = pathsIn(JSON.parse(JSON.stringify(good)))
    for (const part of parts) {
      await records.put({ ...without(good, part), id: part.join('.') } as never)
    }
    await records.put(good as never)
    expect((await records.all()).map(({ id }) => id)).toEqual(['good'])
    for (const part of parts.map((keys) => keys.join('.'))) {
      expect(store.setAside()).toContainEqual(
        expect.stringContaining(` ${part}: ${part.replace(/\.\d$/, '')}`),
      )
    }
  }
  store.close()
})

test('a record with what it may have, and with what only a newer version knows, is read', async () => {
  const store = openRecords(path())
  const process = { pid: 1, startTimeTicks: '2' }
  const record = sandboxRecord('a', {
    state: { phase: 'ready', ips: [], init: { init: process, monitor: process } },
  })
  const full = {
    ...record,
    spec: { ...record.spec, dns: { servers: [], searches: [], options: [] }, newer: [1] },
  }
  await store.sandboxes.put(full)
  expect(await store.sandboxes.all()).toEqual([full])
  const ended = { startedAtNs: undefined, finishedAtNs: '1', exitCode: 255, message: '' } as const
  const exited = { phase: 'exited', reason: 'Unknown', ...ended } as const
  for (const state of [
    exited,
    { phase: 'creating' },
    { phase: 'created', init: process, monitor: process },
  ] as const) {
    await store.containers.put(containerRecord('c', { state }))
    expect(await store.containers.all()).toEqual([
      JSON.parse(JSON.stringify(containerRecord('c', { state }))),
    ])
  }
  store.close()
})

/** The ways to all parts of a record but its id. */
const pathsIn = (value: unknown): readonly (readonly string[])[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, below]) =>
        key === 'id' ? [] : [[key], ...pathsIn(below).map((rest) => [key, ...rest])],
      )

function without(record: object, [first = '', ...rest]: readonly string[]): object {
  const { [first]: part, ...others } = record as { readonly [key: string]: object }
  return rest.length === 0 || part === undefined ? others : { ...others, [first]: without(part, rest) }
}

test('a database of a newer version is refused with what to do', () => {
  openRecords(path()).close()
  const newer = new DatabaseSync(path())
  newer.exec('PRAGMA user_version = 99')
  newer.close()
  expect(() => openRecords(path())).toThrow(/schema version 99.*run the newer cri-ts/)
})

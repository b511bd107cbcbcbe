import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sandboxRecord } from '#test/fakes/records.ts'
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

test('a database of a newer version is refused with what to do', () => {
  openRecords(path()).close()
  const newer = new DatabaseSync(path())
  newer.exec('PRAGMA user_version = 99')
  newer.close()
  expect(() => openRecords(path())).toThrow(/schema version 99.*run the newer cri-ts/)
})

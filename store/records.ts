import type { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import { describeError } from '#lib/errors.ts'
import type { ContainerRecord } from '#runtime/container/record.ts'
import type { SandboxRecord } from '#runtime/pod-sandbox/record.ts'
import type { ContainerRecords, Records, SandboxRecords } from '#runtime/ports.ts'
import { openDatabase, write } from './database.ts'
import { containerRecordSchema, sandboxRecordSchema } from './record-schemas.ts'

export interface RecordStore {
  readonly sandboxes: SandboxRecords
  readonly containers: ContainerRecords
  readonly containerIds: () => readonly string[]
  /** What could not be read and was moved out of the way, in words. */
  readonly setAside: () => readonly string[]
  readonly close: () => void
}

const migrations = [
  `CREATE TABLE sandboxes (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
   CREATE TABLE containers (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
   CREATE TABLE set_aside (kind TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, reason TEXT NOT NULL) STRICT`,
]

/** Pods and containers in SQLite: a write is on its way to the disk when `put` resolves, and survives a kill. */
export function openRecords(path: string): RecordStore {
  const database = openDatabase(path, 'NORMAL', migrations)
  return {
    sandboxes: recordsIn<SandboxRecord>(database, 'sandboxes', sandboxRecordSchema),
    containers: recordsIn<ContainerRecord>(database, 'containers', containerRecordSchema),
    containerIds: () =>
      database
        .prepare('SELECT id FROM containers')
        .all()
        .map(({ id }) => String(id)),
    setAside: () =>
      database
        .prepare('SELECT kind, id, reason FROM set_aside')
        .all()
        .map(({ kind, id, reason }) => `${kind} ${id}: ${reason}`),
    close: () => database.close(),
  }
}

function recordsIn<Item extends { readonly id: string }>(
  database: DatabaseSync,
  table: 'sandboxes' | 'containers',
  schema: z.ZodType,
): Records<Item> {
  const put = database.prepare(
    `INSERT INTO ${table} (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record`,
  )
  const remove = database.prepare(`DELETE FROM ${table} WHERE id = ?`)
  const setAside = database.prepare('INSERT INTO set_aside (kind, id, record, reason) VALUES (?, ?, ?, ?)')

  return {
    async put(record) {
      write(database, () => put.run(record.id, JSON.stringify(record)))
    },

    async remove(id) {
      write(database, () => remove.run(id))
    },

    async all() {
      const rows = database.prepare(`SELECT id, record FROM ${table}`).all() as {
        id: string
        record: string
      }[]
      return rows.flatMap(({ id, record }) => {
        try {
          return [parseRecord<Item>(id, record, schema)]
        } catch (error) {
          setAside.run(table, id, record, describeError(error))
          remove.run(id)
          return []
        }
      })
    },
  }
}

/** Checked as a whole: one record that lacks something would fail every list it is in. */
function parseRecord<Item extends { readonly id: string }>(
  id: string,
  text: string,
  schema: z.ZodType,
): Item {
  const record = JSON.parse(text) as Item
  const checked = schema.safeParse(record)
  if (checked.error !== undefined) {
    const problems = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new Error(problems.join('; '))
  }
  if (record.id !== id) throw new Error(`it says it is ${record.id}`)
  return record
}

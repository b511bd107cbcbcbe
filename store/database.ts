import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { CriError } from '#lib/errors.ts'

/** Of the database's file, and of its log: what is stopped and removed on a full disk is written there. */
const RESERVED_BYTES = 1 << 20
/** The log is begun anew before it outgrows what is reserved; pages are of 4 KiB. */
const CHECKPOINT_PAGES = 200
const SQLITE_FULL = 13
const BEGIN_LOG_ANEW = 'PRAGMA wal_checkpoint(RESTART)'

/**
 * Opens a database in WAL mode and brings its schema up to date. `migrations[n]` leads from version n to n + 1.
 * `synchronous`: NORMAL survives a killed daemon, FULL a power loss.
 */
export function openDatabase(
  path: string,
  synchronous: 'NORMAL' | 'FULL',
  migrations: readonly string[],
): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  const database = new DatabaseSync(path)
  try {
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON`)
    migrate(database, path, migrations)
    if (path !== ':memory:') reserve(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Opens a database that nobody writes to, as it lies on the disk: its file system may be read-only. Throws
 * failed-precondition for one that is missing, newer than this cri-ts, or has a log that was not written back.
 */
export function openForeignDatabase(path: string, migrations: readonly string[]): DatabaseSync {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })
  if (log !== undefined && log.size > 0) {
    throw new CriError(
      'failed-precondition',
      `${path} is in use, or was not closed: end the cri-ts that it belongs to (start it once more if it was killed)`,
    )
  }
  let database: DatabaseSync
  try {
    database = new DatabaseSync(`${pathToFileURL(path)}?immutable=1`, { readOnly: true })
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `${path} can't be read: mount its disk, or take it out of image.additional_stores`,
      { cause },
    )
  }
  try {
    checkVersion(database, path, migrations)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function checkVersion(database: DatabaseSync, path: string, migrations: readonly string[]): number {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > migrations.length) {
    throw new CriError(
      'failed-precondition',
      `${path} has schema version ${version}, this cri-ts knows up to ${migrations.length}: run the newer cri-ts, or move the file away to start anew`,
    )
  }
  return version
}

function migrate(database: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = checkVersion(database, path, migrations)
  for (const [index, migration] of migrations.entries()) {
    if (index >= version) database.exec(`BEGIN; ${migration}; PRAGMA user_version = ${index + 1}; COMMIT`)
  }
}

/** Both files keep the size that this gives them: SQLite writes into their free pages before it asks for more. */
function reserve(database: DatabaseSync): void {
  const steps = [
    `PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
    'CREATE TABLE IF NOT EXISTS reserve (bytes BLOB) STRICT',
    `INSERT INTO reserve VALUES (zeroblob(${RESERVED_BYTES}))`,
    'DROP TABLE IF EXISTS reserve',
    BEGIN_LOG_ANEW,
  ]
  for (const step of steps) {
    try {
      database.exec(step)
    } catch (error) {
      if (!isFull(error)) throw error // A disk that is full already does without, as far as it goes.
    }
  }
}

/** Writes, a second time with the log begun anew where the disk is full; throws resource-exhausted if it still is. */
export function write<Result>(database: DatabaseSync, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!isFull(error)) throw error
  }
  try {
    database.exec(BEGIN_LOG_ANEW)
    return work()
  } catch (cause) {
    if (!isFull(cause)) throw cause
    throw new CriError(
      'resource-exhausted',
      `${database.location()} cannot be written: free space on its file system`,
      { cause },
    )
  }
}

const isFull = (thrown: unknown): boolean =>
  thrown instanceof Error && 'errcode' in thrown && thrown.errcode === SQLITE_FULL

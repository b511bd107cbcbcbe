import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CriError } from '#lib/errors.ts'

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
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function migrate(database: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > migrations.length) {
    throw new CriError(
      'failed-precondition',
      `${path} has schema version ${version}, this cri-ts knows up to ${migrations.length}: run the newer cri-ts, or move the file away to start anew`,
    )
  }
  for (const [index, migration] of migrations.entries()) {
    if (index >= version) database.exec(`BEGIN; ${migration}; PRAGMA user_version = ${index + 1}; COMMIT`)
  }
}

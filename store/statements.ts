import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'
import { write } from './database.ts'

export type Row = Record<string, SQLOutputValue>
export type Run = ReturnType<typeof runnerOf>

/** Statements are prepared once each. */
export function runnerOf(database: DatabaseSync) {
  const prepared = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const statement = (sql: string) => {
    const known = prepared.get(sql) ?? database.prepare(sql)
    prepared.set(sql, known)
    return known
  }
  return {
    all: (sql: string, ...values: SQLInputValue[]): readonly Row[] => statement(sql).all(...values),
    one: (sql: string, ...values: SQLInputValue[]): Row | undefined => statement(sql).get(...values),
    write(sql: string, ...values: SQLInputValue[]): void {
      const run = () => void statement(sql).run(...values)
      if (database.isTransaction) run()
      else write(database, run)
    },
    transaction: <Result>(work: () => Result): Result =>
      write(database, () => {
        database.exec('BEGIN IMMEDIATE')
        try {
          const result = work()
          database.exec('COMMIT')
          return result
        } catch (error) {
          if (database.isTransaction) database.exec('ROLLBACK')
          throw error
        }
      }),
  }
}

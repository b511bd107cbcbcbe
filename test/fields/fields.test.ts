import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { apiFields, apiRequests, compareFields } from './api-fields.ts'
import type { FieldTable } from './field-row.ts'
import { podGroups } from './fields-of-pod.ts'
import { otherRequests } from './fields-of-requests.ts'
import { updatedPodResources, updatedResources } from './fields-of-resources.ts'

const together = (
  tables: readonly FieldTable[],
): readonly (readonly [path: string, row: FieldTable[string]])[] =>
  tables.flatMap((table) => Object.entries(table))

const tables: { readonly [request: string]: readonly FieldTable[] } = {
  RunPodSandboxRequest: podGroups.map(({ rows }) => rows),
  CreateContainerRequest: podGroups.flatMap(({ groups }) => groups.map(({ rows }) => rows)),
  UpdateContainerResourcesRequest: [updatedResources],
  UpdatePodSandboxResourcesRequest: [updatedPodResources],
  ...Object.fromEntries(Object.entries(otherRequests).map(([request, table]) => [request, [table]])),
}

test('every request of the API has a table, and no other', () => {
  const asked = apiRequests().filter((request) => apiFields(request).length > 0)
  expect(Object.keys(tables).toSorted()).toEqual(asked.toSorted())
})

describe.for(Object.keys(tables))('%s', (request) => {
  const rows = together(tables[request] ?? [])

  test('every field has a row that shows its effect or says why it has none, and every row is of a field', () => {
    const paths = [...new Set(rows.map(([path]) => path))]
    expect(compareFields(apiFields(request), paths)).toEqual({ missing: [], unknown: [] })
  })

  test('what is shown elsewhere is shown there', () => {
    for (const [path, row] of rows) {
      if (!('elsewhere' in row)) continue
      const file = new URL(`../../${row.elsewhere}`, import.meta.url).pathname
      expect(existsSync(file), `${path}: ${row.elsewhere}`).toBe(true)
      expect(readFileSync(file, 'utf8'), `${path}: ${row.elsewhere}`).toContain(row.test)
    }
  })
})

test('a field without a row and a row without a field are named', () => {
  const fields = ['config.linux.new_field', 'config.name', 'windows.a', 'windows.b.c']
  expect(compareFields(fields, ['config.name', 'windows.*', 'config.gone', 'config.linux'])).toEqual({
    missing: ['config.linux.new_field'],
    unknown: ['config.gone', 'config.linux'],
  })
})

import type { Figures } from './streaming-table.ts'

interface Row {
  readonly row: string
  readonly columns: readonly { readonly name: string; readonly figures: Figures }[]
}

/** Pulls as median (least–most), and how often faster the first runtime is than the fastest other; then the rest. */
export function pullTables(rows: readonly Row[]): string {
  const names = rows[0]?.columns.map(({ name }) => name) ?? []
  const pulls = rows.map(({ row, columns }) => [
    row,
    ...columns.map(({ figures }) => spread(figures, 'pull')),
    ratio(columns),
  ])
  const pullTable = table(['pull, ms', ...names, 'fastest other / first'], pulls)
  const others = new Set(
    rows.flatMap(({ columns }) =>
      columns.flatMap(({ figures }) => figures.all().map(({ figure }) => figure.name)),
    ),
  )
  others.delete('pull')
  const rest = [...others].map((name) =>
    table(
      [name, ...names],
      rows.map(({ row, columns }) => [row, ...columns.map(({ figures }) => rounded(figures.summary(name)))]),
    ),
  )
  return [pullTable, ...rest].join('\n\n')
}

function spread(figures: Figures, name: string): string {
  const values = figures.all().find(({ figure }) => figure.name === name)?.values ?? []
  return `${rounded(figures.summary(name))} (${rounded(Math.min(...values))}–${rounded(Math.max(...values))})`
}

function ratio([first, ...others]: Row['columns']): string {
  const own = first?.figures.summary('pull') ?? Number.NaN
  return (Math.min(...others.map(({ figures }) => figures.summary('pull') ?? Number.NaN)) / own).toFixed(2)
}

const table = (titles: readonly string[], rows: readonly (readonly string[])[]): string =>
  [titles, titles.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const rounded = (value: number | undefined): string =>
  value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(value < 20 ? 1 : 0)

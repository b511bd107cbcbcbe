/** Rows as text, each column as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  const lines = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  '))
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

/** Three digits and a decimal unit, as crictl shows sizes: `4.26MB`. */
export function humanSize(sizeBytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = sizeBytes < 1 ? 0 : Math.min(Math.floor(Math.log10(sizeBytes) / 3), units.length - 1)
  return `${Number((sizeBytes / 1000 ** power).toPrecision(3))}${units[power]}`
}

/** One number of one run; those of several runs make one by `of`. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly of: 'median' | 'max'
  readonly value: number
}

interface Kept {
  readonly figure: Figure
  readonly values: number[]
}

/** Collects the figures of one runtime over its runs. */
export class Figures {
  readonly #byName = new Map<string, Kept>()

  add(figures: readonly Figure[]): void {
    for (const figure of figures) {
      const kept = this.#byName.get(figure.name)
      if (kept === undefined) this.#byName.set(figure.name, { figure, values: [figure.value] })
      else kept.values.push(figure.value)
    }
  }

  all(): readonly Kept[] {
    return [...this.#byName.values()]
  }

  summary(name: string): number | undefined {
    const kept = this.#byName.get(name)
    if (kept === undefined) return undefined
    const sorted = kept.values.toSorted((a, b) => a - b)
    return kept.figure.of === 'max' ? sorted.at(-1) : sorted[Math.floor(sorted.length / 2)]
  }
}

/** In Markdown, a column for each runtime, and for two of them their ratio. */
export function figuresTable(
  columns: readonly { readonly name: string; readonly figures: Figures }[],
): string {
  const names = columns.map(({ name }) => name)
  const units = new Map(
    columns.flatMap(({ figures }) => figures.all().map(({ figure }) => [figure.name, figure.unit] as const)),
  )
  const titles = ['', 'unit', ...names, ...(names.length === 2 ? [names.join('/')] : [])]
  const rows = [...units].map(([name, unit]) => {
    const numbers = columns.map(({ figures }) => figures.summary(name))
    return [name, unit, ...numbers.map(rounded), ...(numbers.length === 2 ? [ratio(numbers)] : [])]
  })
  return [titles, titles.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const rounded = (value: number | undefined): string =>
  value === undefined ? '–' : value.toFixed(value < 100 ? 1 : 0)

const ratio = ([a, b]: readonly (number | undefined)[]): string =>
  a === undefined || b === undefined ? '–' : (a / b).toFixed(2)

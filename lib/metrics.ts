type Labels<Name extends string> = { readonly [name in Name]: string }

export interface Counter<Name extends string = never> {
  /** By one, or by that much: never by less than 0. */
  add(labels: Labels<Name>, by?: number): void
}

export interface Gauge<Name extends string = never> {
  /** By one up, or by that much; less than 0 is down. */
  add(labels: Labels<Name>, by?: number): void
}

export interface Histogram<Name extends string = never> {
  observe(labels: Labels<Name>, value: number): void
}

interface Shape<Name extends string> {
  readonly name: string
  readonly help: string
  readonly labels?: readonly Name[]
}

interface Family {
  /** Its lines, without help and type. */
  lines(): string[]
  readonly head: string
}

/** So many values of its labels one metric knows apart; what comes then is counted as OTHER, so that memory is bounded. */
const MOST_SERIES = 200
const OTHER = 'other'

/** The metrics of this process, in Prometheus' text format (version 0.0.4). Names are unique. */
export class Metrics {
  readonly #families = new Map<string, Family>()

  /** `name` ends with `_total`. */
  counter<Name extends string = never>(shape: Shape<Name>): Counter<Name> {
    return this.#number('counter', shape)
  }

  gauge<Name extends string = never>(shape: Shape<Name>): Gauge<Name> {
    return this.#number('gauge', shape)
  }

  /** A gauge that is read when somebody asks for the metrics. */
  sampled({ name, help }: Shape<never>, read: () => number): void {
    this.#add('gauge', { name, help }, () => [line(name, [], read())])
  }

  /** `bounds` are the upper limits of its buckets, ascending. */
  histogram<Name extends string = never>(
    shape: Shape<Name> & { readonly bounds: readonly number[] },
  ): Histogram<Name> {
    const { name, bounds } = shape
    const series = new Series(shape, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }))
    this.#add('histogram', shape, () =>
      series.entries().flatMap(([labels, { counts, sum, count }]) => [
        ...[...bounds, '+Inf'].map((bound, index) => {
          const below = counts.slice(0, index + 1).reduce((total, one) => total + one, 0)
          const value = bound === '+Inf' ? count : below
          return line(`${name}_bucket`, [...labels, `le="${bound}"`], value)
        }),
        line(`${name}_sum`, labels, sum),
        line(`${name}_count`, labels, count),
      ]),
    )
    return {
      observe(labels, value) {
        const one = series.of(labels)
        const bucket = bounds.findIndex((bound) => value <= bound)
        if (bucket >= 0) one.counts[bucket] = (one.counts[bucket] ?? 0) + 1
        one.sum += value
        one.count += 1
      },
    }
  }

  /** All of them as they are now. */
  text(): string {
    return [...this.#families.values()]
      .map(({ head, lines }) => `${[head, ...lines()].join('\n')}\n`)
      .join('')
  }

  #number<Name extends string>(type: 'counter' | 'gauge', shape: Shape<Name>): Counter<Name> {
    const series = new Series(shape, () => ({ value: 0 }))
    this.#add(type, shape, () =>
      series.entries().map(([labels, { value }]) => line(shape.name, labels, value)),
    )
    return {
      add(labels, by = 1) {
        series.of(labels).value += by
      },
    }
  }

  #add(type: string, { name, help }: Shape<string>, lines: () => string[]): void {
    if (this.#families.has(name)) throw new Error(`there are two metrics ${name}`)
    this.#families.set(name, { head: `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}`, lines })
  }
}

/** What a metric holds for each set of label values. One without labels is there from the start. */
class Series<Name extends string, Value> {
  readonly #names: readonly Name[]
  readonly #fresh: () => Value
  readonly #values = new Map<string, { readonly labels: readonly string[]; readonly value: Value }>()

  constructor({ labels = [] }: Shape<Name>, fresh: () => Value) {
    this.#names = labels
    this.#fresh = fresh
    if (labels.length === 0) this.#make([])
  }

  of(labels: Labels<Name>): Value {
    const texts = this.#names.map((name) => labels[name])
    const known = this.#values.get(keyOf(texts))
    if (known !== undefined) return known.value
    if (this.#values.size < MOST_SERIES) return this.#make(texts)
    const others = texts.map(() => OTHER)
    return this.#values.get(keyOf(others))?.value ?? this.#make(others)
  }

  /** Labels as they are written: `name="value"`. */
  entries(): [labels: readonly string[], value: Value][] {
    return [...this.#values.values()].map(({ labels, value }) => [labels, value])
  }

  #make(texts: readonly string[]): Value {
    const labels = this.#names.map((name, index) => `${name}="${escaped(texts[index] ?? '', '"')}"`)
    const value = this.#fresh()
    this.#values.set(keyOf(texts), { labels, value })
    return value
  }
}

const keyOf = (texts: readonly string[]): string => texts.join('\0')

const line = (name: string, labels: readonly string[], value: number): string =>
  `${name}${labels.length > 0 ? `{${labels.join(',')}}` : ''} ${value}`

/** Quotes are escaped in label values alone. */
const escaped = (text: string, quote = ''): string =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll(quote || '\0', quote && '\\"')

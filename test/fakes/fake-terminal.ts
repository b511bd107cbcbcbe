import type { Terminal } from '#cli/live-lines.ts'

/**
 * A terminal that keeps what it would show. It knows line feeds, carriage returns and the sequences that
 * cli/live-lines.ts uses, wraps long lines, and breaks them anew when it is resized, as most terminals do.
 */
export class FakeTerminal implements Terminal {
  columns: number
  readonly rows: number
  /** Each thing that was written. */
  readonly writes: string[] = []
  /** Logical lines; the cursor is on one of their rows. */
  #lines: string[] = ['']
  #line = 0
  #column = 0
  readonly #listeners = new Set<() => void>()

  constructor(columns = 80, rows = 24) {
    this.columns = columns
    this.rows = rows
  }

  /** What can be read on it, without the empty line that the cursor stands in at the end. */
  get screen(): string[] {
    const rows = this.#lines.flatMap((line) => wrap(line.trimEnd(), this.columns))
    return rows.at(-1) === '' ? rows.slice(0, -1) : rows
  }

  size() {
    return { columns: this.columns, rows: this.rows }
  }

  onResize(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  resize(columns: number): void {
    this.columns = columns
    for (const listener of this.#listeners) listener()
  }

  write(text: string): void {
    this.writes.push(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals are told by.
    for (const [token] of text.matchAll(/\x1b\[[?\d]*[A-Za-z]|\r|\n|[^\x1b\r\n]+/g)) this.#apply(token)
  }

  #apply(token: string): void {
    if (token === '\r') this.#column = 0
    else if (token === '\n') this.#down()
    else if (token.startsWith('\x1b[?')) return
    else if (token.endsWith('A') && token.startsWith('\x1b')) this.#up(Number(token.slice(2, -1)))
    else if (token === '\x1b[K') this.#lines[this.#line] = this.#current.slice(0, this.#column)
    else if (token === '\x1b[J') this.#lines.length = this.#line + (this.#column > 0 ? 1 : 0)
    else if (token.startsWith('\x1b')) throw new Error(`unknown sequence ${JSON.stringify(token)}`)
    else this.#print(token)
  }

  get #current(): string {
    return this.#lines[this.#line] ?? ''
  }

  #down(): void {
    this.#line += 1
    this.#column = 0
    if (this.#lines.length <= this.#line) this.#lines.push('')
  }

  /** By rows, as they are wrapped now. */
  #up(rows: number): void {
    let left = rows
    while (left > 0 && this.#line > 0) {
      this.#line -= 1
      left -= wrap(this.#current, this.columns).length
    }
    if (left !== 0) throw new Error(`the cursor is ${left} rows off the beginning of a line`)
  }

  #print(text: string): void {
    const line = this.#current.padEnd(this.#column)
    this.#lines[this.#line] = line.slice(0, this.#column) + text + line.slice(this.#column + text.length)
    this.#column += text.length
  }
}

function wrap(line: string, columns: number): string[] {
  const rows: string[] = []
  for (let at = 0; at < Math.max(line.length, 1); at += columns) rows.push(line.slice(at, at + columns))
  return rows
}

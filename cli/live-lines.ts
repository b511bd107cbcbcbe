/** A terminal that lines may be painted on again. */
export interface Terminal {
  write(text: string): void
  size(): { readonly columns: number; readonly rows: number }
  /** Answers what ends it. */
  onResize(listener: () => void): () => void
}

const ESCAPE = '\x1b['
const CLEAR_TO_END_OF_LINE = `${ESCAPE}K`
const CLEAR_BELOW = `${ESCAPE}J`
/** What comes between these is shown at once, by terminals that know them; others pass over them. */
const BEGIN_SYNCHRONIZED = `${ESCAPE}?2026h`
const END_SYNCHRONIZED = `${ESCAPE}?2026l`

/** Lines that change in place: nothing is cleared before it is written over, and what is as it was is not written. */
export class LiveLines {
  readonly #terminal: Terminal
  #shown: readonly string[] = []

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Each line has to be shorter than the terminal is wide, and they fewer than its rows. */
  show(lines: readonly string[]): void {
    const { columns } = this.#terminal.size()
    // What was written before the terminal became narrower takes more rows now.
    const rows = this.#shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0)
    const wrapped = rows > this.#shown.length
    if (
      !wrapped &&
      lines.length === this.#shown.length &&
      lines.every((line, i) => line === this.#shown[i])
    ) {
      return
    }
    const up = rows > 0 ? `${ESCAPE}${rows}A\r` : ''
    const text = lines.map((line, index) => {
      const same = !wrapped && line === this.#shown[index]
      return same ? '\n' : `${line}${CLEAR_TO_END_OF_LINE}\n`
    })
    const below = wrapped || lines.length < this.#shown.length ? CLEAR_BELOW : ''
    this.#terminal.write(`${BEGIN_SYNCHRONIZED}${up}${text.join('')}${below}${END_SYNCHRONIZED}`)
    this.#shown = lines
  }
}

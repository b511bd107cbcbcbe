import { parse } from 'smol-toml'

export type KeyPath = readonly PropertyKey[]

/** The line, from 1, on which a key or an array's element first stands in a TOML text; else that of the nearest table around it. */
export const lineOfKey = (text: string, path: KeyPath): number | undefined => keyLines(text)(path)

/** The same for many keys of one text. */
export function keyLines(text: string): (path: KeyPath) => number | undefined {
  let offsets: ReadonlyMap<string, number> | undefined
  return (path) => {
    offsets ??= new KeyScanner(text).scan()
    for (let length = path.length; length > 0; length -= 1) {
      const offset = offsets.get(JSON.stringify(path.slice(0, length)))
      if (offset !== undefined) return text.slice(0, offset).split('\n').length
    }
    return undefined
  }
}

const BLANK = /(?:[ \t\r\n]|#[^\n]*)*/y
const BARE_KEY = /[A-Za-z0-9_-]+/y
const STRING = /"""(?:[^\\]|\\.)*?"{3,5}|'''.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/sy
const SCALAR = /[^,\]}#\n]*/y

/** Finds where each key stands. The text must be valid TOML (toml.io, 1.0 and 1.1): values are only passed over. */
class KeyScanner {
  readonly #text: string
  #at = 0
  readonly #offsets = new Map<string, number>()
  /** How many elements an array of tables has so far. */
  readonly #lengths = new Map<string, number>()

  constructor(text: string) {
    this.#text = text
  }

  scan(): ReadonlyMap<string, number> {
    let table: KeyPath = []
    for (this.#take(BLANK); this.#at < this.#text.length; this.#take(BLANK)) {
      if (this.#takeChar('[')) table = this.#header()
      else this.#keyValue(table)
    }
    return this.#offsets
  }

  #header(): KeyPath {
    const ofArray = this.#takeChar('[')
    const offset = this.#at
    const path = this.#key([])
    this.#expect(']')
    if (!ofArray) return path
    this.#expect(']')
    const index = this.#lengths.get(JSON.stringify(path)) ?? 0
    this.#lengths.set(JSON.stringify(path), index + 1)
    this.#record([...path, index], offset)
    return [...path, index]
  }

  #keyValue(table: KeyPath): void {
    const path = this.#key(table)
    this.#expect('=')
    this.#value(path)
  }

  /** A dotted key in a table; where it passes an array of tables it means the last element. */
  #key(table: KeyPath): KeyPath {
    let path = table
    do {
      this.#take(BLANK)
      const length = this.#lengths.get(JSON.stringify(path))
      if (length !== undefined) path = [...path, length - 1]
      const offset = this.#at
      path = [...path, this.#take(BARE_KEY) ?? unquoted(this.#take(STRING))]
      this.#record(path, offset)
    } while (this.#takeChar('.'))
    return path
  }

  #value(path: KeyPath): void {
    if (this.#takeChar('{')) {
      while (!this.#takeChar('}')) {
        this.#keyValue(path)
        this.#takeChar(',')
      }
    } else if (this.#takeChar('[')) {
      for (let index = 0; !this.#takeChar(']'); index += 1) {
        this.#record([...path, index], this.#at)
        this.#value([...path, index])
        this.#takeChar(',')
      }
    } else if (this.#take(STRING) === undefined) this.#take(SCALAR)
  }

  #record(path: KeyPath, offset: number): void {
    const key = JSON.stringify(path)
    if (!this.#offsets.has(key)) this.#offsets.set(key, offset)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  /** Passes over blanks, then over the character if it is there. */
  #takeChar(char: string): boolean {
    this.#take(BLANK)
    if (this.#text[this.#at] !== char) return false
    this.#at += 1
    return true
  }

  #expect(char: string): void {
    if (!this.#takeChar(char)) throw new Error(`no ${char} at offset ${this.#at}: not valid TOML`)
  }
}

/** A quoted key's meaning, escapes and all. */
function unquoted(quoted: string | undefined): string {
  if (quoted === undefined) throw new Error('no key: not valid TOML')
  return String(parse(`key = ${quoted}`)['key'])
}

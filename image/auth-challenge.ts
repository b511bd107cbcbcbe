/** What a server asks for in WWW-Authenticate (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const tokenForm = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const token68Form = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y
const parameterForm = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y
const separatorForm = /[\s,]*/y

/** Every challenge of the header's values, in order. What does not follow the grammar ends the reading of its value. */
export function parseChallenges(values: readonly string[]): readonly Challenge[] {
  return values.flatMap(parseValue)
}

function parseValue(text: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let at = 0
  const take = (form: RegExp): RegExpExecArray | undefined => {
    form.lastIndex = at
    const match = form.exec(text) ?? undefined
    if (match !== undefined) at = form.lastIndex
    return match
  }
  for (;;) {
    take(separatorForm)
    const current = challenges.at(-1)
    const parameter = current && take(parameterForm)
    if (parameter !== undefined) {
      const [, name = '', quoted, bare = ''] = parameter
      current?.parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare)
      continue
    }
    const scheme = take(tokenForm)?.[0]
    if (scheme === undefined) return challenges
    challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    if (/\s/.test(text[at] ?? '')) skipToken68()
  }

  /** `Negotiate YWJj`: a word that is neither a parameter nor the next scheme. */
  function skipToken68(): void {
    const before = at
    take(separatorForm)
    if (text.slice(before, at).includes(',') || !take(token68Form)) at = before
  }
}

/** A string, or what gives JSON its structure; numbers and words between them do not matter here. */
const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g

/**
 * Parses JSON in which every key of an object stands once, as policies and signatures are read: with a key twice,
 * two readers may see two things. Throws SyntaxError, which names the key.
 */
export function parseUniqueJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  const twice = repeatedKey(text)
  if (twice !== undefined) throw new SyntaxError(`the key ${JSON.stringify(twice)} stands twice in an object`)
  return value
}

/** Of text that is JSON. */
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [] // An array has no keys.
  let string: string | undefined
  for (const [found] of text.matchAll(token)) {
    const keys = open.at(-1)
    if (found === ':' && string !== undefined && keys !== undefined) {
      if (keys.has(string)) return string
      keys.add(string)
    }
    string = found.startsWith('"') ? (JSON.parse(found) as string) : undefined
    nest(open, found)
  }
  return undefined
}

function nest(open: Set<string>[], found: string): void {
  if (found === '{' || found === '[') open.push(new Set())
  else if (found === '}' || found === ']') open.pop()
}

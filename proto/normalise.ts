import { text } from 'node:stream/consumers'

/** Tokens of a .proto file: strings, bracketed field options, punctuation, words. */
const token = /"[^"]*"|\[[^\]]*\]|[{}()<>;=,]|[\w.]+/g

/**
 * What of a .proto file decides the wire: names, numbers, types. Comments, options and the original's
 * layout are left out, so that only a change of the interface itself shows as a difference.
 */
export function normaliseProto(source: string): string {
  const bare = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '')
  const lines: string[] = []
  let words: string[] = []
  let depth = 0
  const flush = (end: string): void => {
    const statement = spaced([...words, end])
    if (words[0] !== 'option') lines.push('  '.repeat(depth) + statement)
    words = []
  }

  for (const [word] of bare.matchAll(token)) {
    if (word === '{') {
      flush(' {')
      depth += 1
    } else if (word === '}') {
      depth -= 1
      lines.push(`${'  '.repeat(depth)}}`)
    } else if (word === ';') flush(';')
    else if (!word.startsWith('[')) words.push(word)
  }
  return `${lines
    .join('\n')
    .replaceAll(/ \{\n\s*\}/g, ' {}')
    .replaceAll(/^(?=(?:message|enum|service) )/gm, '\n')}\n`
}

/** `map<string, string> labels = 3;`, `rpc Version(VersionRequest) returns (VersionResponse) {` */
function spaced(words: readonly string[]): string {
  return words
    .join(' ')
    .replaceAll(/ ?([<>();]) ?/g, '$1')
    .replaceAll(' ,', ',')
    .replaceAll(/>(?=\w)/g, '> ')
    .replaceAll(/\)(?=[\w{])/g, ') ')
    .replaceAll('returns(', 'returns (')
    .replaceAll(/ +\{/g, ' {')
}

if (import.meta.main) {
  process.stdout.write(normaliseProto(await text(process.stdin)))
}

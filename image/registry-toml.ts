import { parse, TomlError } from 'smol-toml'
import { CriError } from '#lib/errors.ts'

/** Reads a file about registries; its shape is still to be checked. Throws failed-precondition with the file and the line. */
export function parseToml(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown
    // Only the first line: the rest quotes the file, where a header may hold a token.
    const [what = ''] = thrown.message.split('\n')
    const said = what.replace('Invalid TOML document', 'not valid TOML')
    throw new CriError('failed-precondition', `${file}:${thrown.line}: ${said}`)
  }
}

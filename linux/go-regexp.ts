/**
 * A regular expression of Go (RE2) in JavaScript's terms, for what tools of the container world have in their files.
 * Throws an Error for what cannot be said.
 */
export function goRegExp(pattern: string): RegExp {
  const [, flags = '', rest = ''] = pattern.match(/^(?:\(\?([ims]+)\))?([\s\S]*)$/) ?? []
  if (/\[\[:|\\[pP][A-Z]|\\[QEC]|\(\?[a-zA-Z-]*U/.test(rest)) throw cannotSay(pattern)
  const translated = rest.replaceAll(/\\([\s\S])|\(\?P</g, (found, escaped: string | undefined) => {
    if (escaped === undefined) return '(?<'
    if (escaped === 'A') return '(?<![\\s\\S])'
    if (escaped === 'z') return '(?![\\s\\S])'
    if (escaped === '-') return '\\x2d'
    return NEEDS_NO_ESCAPE.test(escaped) ? escaped : found
  })
  try {
    return new RegExp(translated, `${flags}u`)
  } catch {
    throw cannotSay(pattern)
  }
}

/** Has no meaning of its own, and JavaScript would not have it escaped. */
const NEEDS_NO_ESCAPE = /[\s!"#%&',:;<=>@`~]/

const cannotSay = (pattern: string): Error =>
  new Error(`has ${JSON.stringify(pattern)}, which is no regular expression that cri-ts knows`)

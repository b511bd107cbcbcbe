import { CriError } from '#lib/errors.ts'
import { parseReference } from './reference.ts'

/**
 * Whether one of an image's names is pinned. In a pattern * stands for anything, / too; one without is a reference:
 * `busybox` is docker.io/library/busybox:latest. Throws invalid-argument for what is none.
 */
export function pinnedBy(patterns: readonly string[]): (names: readonly string[]) => boolean {
  const exact = new Set<string>()
  const globs: RegExp[] = []
  for (const pattern of patterns) {
    if (pattern.includes('*')) globs.push(toRegExp(pattern))
    else exact.add(fullName(pattern))
  }
  return (names) => names.some((name) => exact.has(name) || globs.some((glob) => glob.test(name)))
}

const toRegExp = (pattern: string): RegExp =>
  new RegExp(`^${pattern.split(/\*+/).map(RegExp.escape).join('.*')}$`)

function fullName(text: string): string {
  try {
    const { canonical, tagged = '' } = parseReference(text)
    return canonical ?? tagged
  } catch (cause) {
    throw new CriError('invalid-argument', `image.pinned_images names "${text}"`, { cause })
  }
}

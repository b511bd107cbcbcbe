import { invalidArgument } from '#lib/errors.ts'
import { nearestName } from '#lib/names.ts'

/** At most one of each. */
const accessTimes = ['noatime', 'relatime', 'strictatime']
const below = (options: readonly string[]): readonly string[] => options.map((option) => `r${option}`)
const exclusive = [accessTimes, below(accessTimes)]
const plain = ['noexec', 'nosuid', 'nodev', 'nosymfollow', 'nodiratime', ...accessTimes]
const allowed: readonly string[] = [...plain, ...below(plain)]

/** What is said by a field of its own, and what an option could lift that the host forbids. */
const remedies: { readonly [option: string]: string } = {
  ro: 'set readonly',
  rw: 'leave readonly out',
  rro: 'set recursive_read_only',
  bind: 'every mount of a host path is one',
  rbind: 'every mount of a host path is one',
  ...Object.fromEntries(
    ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared', 'unbindable', 'runbindable'].map(
      (name) => [name, 'set propagation'],
    ),
  ),
  ...Object.fromEntries(
    ['exec', 'suid', 'dev', 'atime', 'diratime', 'symfollow'].map((name) => [
      name,
      'leave it out: it would lift what the host forbids',
    ]),
  ),
}

/**
 * Options that a bind mount gets beside those that have a field (api.proto, Mount.mount_options). Only those that
 * restrict, and how access times are kept, are options of a mount; all others would be of its file system.
 * Throws invalid-argument for an unknown one and for two that contradict each other.
 */
export function convertMountOptions(options: readonly string[], field: string): readonly string[] {
  for (const option of options) {
    if (allowed.includes(option)) continue
    const nearest = nearestName(option, allowed)
    const guess = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
    const remedy = Object.hasOwn(remedies, option)
      ? remedies[option]
      : `it may have ${plain.join(', ')}, and each with an r before it for all that is mounted below`
    throw invalidArgument(`${field} has ${JSON.stringify(option)}${guess}: ${remedy}`)
  }
  for (const group of exclusive) {
    const [first, second] = group.filter((option) => options.includes(option))
    if (second !== undefined) {
      throw invalidArgument(`${field} has ${first} and ${second}, which contradict each other: choose one`)
    }
  }
  return [...new Set(options)]
}

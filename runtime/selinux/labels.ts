import { randomInt } from 'node:crypto'
import { CriError } from '#lib/errors.ts'
import type { SelinuxLabels, SelinuxOptions } from '../pod-sandbox/record.ts'
import type { ContainerContexts } from '../selinux-port.ts'

/** The parts of `user:role:type:level`; a policy without MLS has no levels. */
interface Context {
  readonly user: string
  readonly role: string
  readonly type: string
  readonly level: string
}

/** c0 to c1023, as policies of distributions have them. */
const CATEGORIES = 1024

/**
 * The labels of a pod: what the policy gives containers, with a pair of categories that no other pod has, but for the
 * parts that are asked for. `others`: of all pods there are; theirs are free again when they are no more.
 */
export function podLabels(
  asked: SelinuxOptions | undefined,
  { process, file }: ContainerContexts,
  others: readonly SelinuxLabels[],
  random: (limit: number) => number = randomInt,
): SelinuxLabels {
  const { level } = parsed(process)
  if (level === '' || (asked?.level ?? '') !== '') return overridden({ process, mount: file }, asked)
  const taken = new Set(others.map((labels) => parsed(labels.process).level))
  const own = freeLevel(sensitivityOf(level), taken, random)
  return overridden(overridden({ process, mount: file }, { ...NOTHING, level: own }), asked)
}

/** Those of a container: its pod's, but for the parts that it asks for itself. */
export const containerLabels = (pod: SelinuxLabels, asked: SelinuxOptions | undefined): SelinuxLabels =>
  overridden(pod, asked)

/** Of files that all containers of a pod may use, whatever levels they ask for: without categories. */
export function sharedLabel({ mount }: Pick<SelinuxLabels, 'mount'>): string {
  const context = parsed(mount)
  return formatted({ ...context, level: context.level === '' ? '' : sensitivityOf(context.level) })
}

const NOTHING: SelinuxOptions = { user: '', role: '', type: '', level: '' }

/** Files have a role and a type of their own. */
function overridden({ process, mount }: SelinuxLabels, asked = NOTHING): SelinuxLabels {
  const { user, level } = asked
  return { process: withParts(process, asked), mount: withParts(mount, { ...NOTHING, user, level }) }
}

function withParts(label: string, parts: SelinuxOptions): string {
  const context = parsed(label)
  return formatted({
    user: parts.user || context.user,
    role: parts.role || context.role,
    type: parts.type || context.type,
    level: parts.level || context.level,
  })
}

function freeLevel(
  sensitivity: string,
  taken: ReadonlySet<string>,
  random: (limit: number) => number,
): string {
  const start = random(CATEGORIES ** 2)
  for (let step = 0; step < CATEGORIES ** 2; step += 1) {
    const pair = (start + step) % CATEGORIES ** 2
    const [first, second] = [Math.floor(pair / CATEGORIES), pair % CATEGORIES]
    if (first >= second) continue
    const level = `${sensitivity}:c${first},c${second}`
    if (!taken.has(level)) return level
  }
  throw new CriError('resource-exhausted', 'every pair of SELinux categories is in use: remove pods')
}

/** `s0` of `s0-s0:c0.c1023`. */
const sensitivityOf = (level: string): string => /^[^:-]*/.exec(level)?.[0] ?? level

function parsed(label: string): Context {
  const [user = '', role = '', type = '', ...level] = label.split(':')
  return { user, role, type, level: level.join(':') }
}

const formatted = ({ user, role, type, level }: Context): string =>
  [user, role, type, ...(level === '' ? [] : [level])].join(':')

import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Where a test and its daemon meet. */
export const ordersIn = (directory: string) => ({
  /** Line 1: the point to end at, or '' to go on; line 2: the daemon's pid; line 3: tells orders apart. */
  order: join(directory, 'crash-order'),
  /** A line for every effect since the first order. */
  journal: join(directory, 'crash-journal'),
  /** The pid of the program that ended the daemon, and what lets it go on. */
  program: join(directory, 'crash-program'),
  release: join(directory, 'crash-release'),
})

export interface CrashPoints {
  /** The same port, that ends the process before, during or after an effect if an order says so. */
  wrap<Port extends object>(name: string, port: Port): Port
  /** A point without an end of its own. */
  pass(effect: string): void
}

/** What only looks: to end there is to end after what came before. */
const LOOKS =
  /\.(all|find|status|resolve|readFile|leftovers|ended|observe|hasStarted|ociProcess|list|usage|written|cgroup|interfaces|blockIo|rdt|devices|allDevices)$/

/** `before network.attach#1`: the first call since the order was given. Without an order nothing is counted. */
export function crashPoints(directory: string): CrashPoints {
  const { order, journal } = ordersIn(directory)
  const counts = new Map<string, number>()
  let current = ''

  const orderedPoint = (): string | undefined => {
    const text = readOrUndefined(order)
    if (text === undefined) return undefined
    if (text !== current) counts.clear()
    current = text
    return text.split('\n')[0]
  }
  const reach = (when: string, effect: string): void => {
    if (orderedPoint() !== `${when} ${effect}`) return
    rmSync(order)
    process.kill(process.pid, 'SIGKILL')
  }
  const begin = (name: string): string | undefined => {
    if (orderedPoint() === undefined) return undefined
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    const effect = `${name}#${count}`
    appendFileSync(journal, `${effect}\n`)
    reach('before', effect)
    return effect
  }
  const act = (name: string, method: () => unknown): unknown => {
    const effect = begin(name)
    const result = method()
    if (effect === undefined) return result
    if (!(result instanceof Promise)) {
      reach('after', effect)
      return result
    }
    reach('during', effect)
    return result.then((value: unknown) => {
      reach('after', effect)
      return value
    })
  }

  return {
    pass: (effect) => void begin(effect),
    wrap: (name, port) =>
      new Proxy(port, {
        get(target, property) {
          const member: unknown = Reflect.get(target, property)
          if (typeof member !== 'function' || typeof property === 'symbol') return member
          const call = (...args: unknown[]): unknown => Reflect.apply(member, target, args)
          const effect = `${name}.${property}`
          return LOOKS.test(effect) ? call : (...args: unknown[]) => act(effect, () => call(...args))
        },
      }),
  }
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

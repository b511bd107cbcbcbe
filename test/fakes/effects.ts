/** What one effect is told to do: fail before or after it has acted, or be the last thing that the daemon ever did. */
type Plan = { readonly how: 'before' | 'after' | 'killed'; readonly at: number }

/** Stands between the runtime and its ports: keeps a journal of effects, and makes them fail where a test wants it. */
export class Effects {
  /** `port.method`, in the order in which they were called. */
  readonly journal: string[] = []
  /** No effect acts any more, and none ever answers. */
  killed = false
  #plan: Plan | undefined
  readonly #broken = new Set<string>()

  /** The effect at this place of the journal throws, before or after it acts; those after it do not. */
  failAt(at: number, how: 'before' | 'after'): void {
    this.#plan = { at, how }
  }

  /** The effect at this place acts, and the daemon is gone before it is answered. */
  killAt(at: number): void {
    this.#plan = { at, how: 'killed' }
  }

  /** Each effect of this name throws before it acts, until `heal`. */
  break(name: string): void {
    this.#broken.add(name)
  }

  heal(): void {
    this.#broken.clear()
    this.#plan = undefined
  }

  tap<Port extends object>(portName: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, property) => {
        const method: unknown = Reflect.get(target, property, target)
        if (typeof method !== 'function') return method
        if (unjournaled.has(String(property))) return method.bind(target)
        const name = `${portName}.${String(property)}`
        return (...args: unknown[]) => this.#act(name, () => Reflect.apply(method, target, args))
      },
    })
  }

  #act(name: string, act: () => unknown): unknown {
    if (this.killed) return never()
    const index = this.journal.push(name) - 1
    const how = this.#plan?.at === index ? this.#plan.how : undefined
    if (how === 'before' || this.#broken.has(name)) return refused(name)
    if (how === 'killed') this.killed = true
    const answer = act()
    if (how === undefined) return answer
    const then = (): unknown => (how === 'after' ? refused(name) : never())
    return answer instanceof Promise ? answer.then(then) : then()
  }
}

/** They wait, or answer at once from what is there. */
const unjournaled = new Set([
  'ended',
  'leftovers',
  'isCheckpoint',
  'written',
  'cgroup',
  'interfaces',
  'blockIo',
  'rdt',
  'giveUp',
])

const synchronous = new Set(['locks.remove', 'locks.kill'])

function refused(name: string): Promise<never> {
  const error = new Error(`${name} was made to fail`)
  if (synchronous.has(name)) throw error
  return Promise.reject(error)
}

const never = (): Promise<never> => new Promise(() => undefined)

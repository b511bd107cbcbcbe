import { setTimeout as sleep } from 'node:timers/promises'
import { CriError } from '#lib/errors.ts'

/** How long a killed process may take to die: one that hangs in the kernel (a dead NFS) takes for ever. */
const KILL_TIMEOUT_MS = 30_000

export interface StopClock {
  readonly nowMs: () => number
  /** Resolves after this time, or when the signal is aborted. */
  readonly sleep: (timeMs: number, signal: AbortSignal) => Promise<void>
}

const realClock: StopClock = {
  nowMs: () => performance.now(),
  sleep: (timeMs, signal) => sleep(timeMs, undefined, { signal }).catch(() => undefined),
}

interface Stop {
  deadlineMs: number
  /** Wakes the wait after the deadline has moved nearer. */
  hurry: () => void
  done: Promise<void>
}

/** Stops under way. A second one joins the first, and shortens it if its own grace period ends sooner. */
export class Stopping {
  readonly #stops = new Map<string, Stop>()
  readonly #clock: StopClock

  constructor(clock = realClock) {
    this.#clock = clock
  }

  stop(
    id: string,
    graceMs: number,
    act: {
      readonly exited: Promise<void>
      readonly ask: () => Promise<void>
      readonly kill: () => Promise<void>
    },
  ): Promise<void> {
    const deadlineMs = this.#clock.nowMs() + graceMs
    const underWay = this.#stops.get(id)
    if (underWay !== undefined) {
      if (deadlineMs < underWay.deadlineMs) {
        underWay.deadlineMs = deadlineMs
        underWay.hurry()
      }
      return underWay.done
    }
    const stop: Stop = { deadlineMs, hurry: () => undefined, done: Promise.resolve() }
    this.#stops.set(id, stop)
    stop.done = this.#run(id, stop, act).finally(() => this.#stops.delete(id))
    return stop.done
  }

  async #run(id: string, stop: Stop, act: Parameters<Stopping['stop']>[2]): Promise<void> {
    let exited = false
    const over = act.exited.then(() => {
      exited = true
    })
    over.catch(() => undefined) // Also while nobody waits for it, it is no unhandled rejection.
    const leftMs = (): number => stop.deadlineMs - this.#clock.nowMs()
    if (leftMs() > 0) await act.ask()
    for (let left = leftMs(); !exited && left > 0; left = leftMs()) {
      const hurried = new Promise<void>((resolve) => {
        stop.hurry = resolve
      })
      await this.#waitAtMost(left, over, hurried)
    }
    if (exited) return
    await act.kill()
    await this.#waitAtMost(KILL_TIMEOUT_MS, over)
    if (exited) return
    throw new CriError(
      'deadline-exceeded',
      `container ${id} was killed but does not end within ${KILL_TIMEOUT_MS / 1000} s: ` +
        'a process of it hangs in the kernel; look for state D in /proc/PID/stat and at /proc/PID/wchan',
    )
  }

  async #waitAtMost(timeMs: number, ...events: readonly Promise<void>[]): Promise<void> {
    const enough = new AbortController()
    try {
      await Promise.race([this.#clock.sleep(timeMs, enough.signal), ...events])
    } finally {
      enough.abort()
    }
  }
}

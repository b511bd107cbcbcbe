import { setTimeout as sleep } from 'node:timers/promises'
import {
  differenceBetween,
  type HostSnapshot,
  type SnapshotScope,
  takeHostSnapshot,
} from './host-snapshot.ts'

export interface LeakCheck {
  /** Throws, naming each thing that has come or gone since, when the host does not become as it was within `withinMs`. */
  expectNone(withinMs?: number): Promise<void>
}

/** Remembers the host as it is now. What ends by itself shortly after a call (a connection, a helper) is given its time. */
export function startLeakCheck(scope: () => SnapshotScope): LeakCheck {
  const before = takeHostSnapshot(scope())
  return { expectNone: (withinMs = 3000) => expectSame(before, scope, withinMs) }
}

async function expectSame(before: HostSnapshot, scope: () => SnapshotScope, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const difference = differenceBetween(before, takeHostSnapshot(scope()))
    if (difference.length === 0) return
    if (Date.now() > deadline) throw new Error(`the host is not as it was:\n  ${difference.join('\n  ')}`)
    await sleep(50)
  }
}

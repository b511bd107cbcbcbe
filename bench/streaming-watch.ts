import { readFileSync } from 'node:fs'
import type { CriClient } from '#cri/client.ts'

const CALL_EVERY_MS = 5
const LOOK_EVERY_MS = 20

/** How a daemon was for others meanwhile, and what it took. */
export interface Watched<T> {
  readonly result: T
  /** Of Version calls from the moment at which each was due, sorted. */
  readonly versionMs: readonly number[]
  readonly rssBeforeMiB: number
  readonly rssMaxMiB: number
}

/** Calls Version all the time while `work` runs, whether or not the last call has been answered. */
export async function watched<T>(
  { client, pid }: { readonly client: CriClient; readonly pid: number },
  work: () => Promise<T>,
): Promise<Watched<T>> {
  const versionMs: number[] = []
  const calls = new Set<Promise<void>>()
  const rssBeforeMiB = rssMiB(pid)
  let rssMaxMiB = rssBeforeMiB
  let due = performance.now()
  const calling = setInterval(() => {
    for (; due <= performance.now(); due += CALL_EVERY_MS) {
      const from = due
      const call = client.call('Version').then(() => void versionMs.push(performance.now() - from))
      calls.add(call.finally(() => calls.delete(call)))
    }
  }, CALL_EVERY_MS)
  const looking = setInterval(() => {
    rssMaxMiB = Math.max(rssMaxMiB, rssMiB(pid))
  }, LOOK_EVERY_MS)
  try {
    const result = await work()
    clearInterval(calling)
    await Promise.all(calls)
    return { result, versionMs: versionMs.toSorted((a, b) => a - b), rssBeforeMiB, rssMaxMiB }
  } finally {
    clearInterval(calling)
    clearInterval(looking)
  }
}

function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}

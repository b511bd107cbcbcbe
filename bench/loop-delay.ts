import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

/**
 * Imported into a daemon before its own code (NODE_OPTIONS). From one SIGUSR2 to the next it measures how late a timer
 * comes, and how much of that time the main thread itself was at work, and writes both to $LOOP_DELAY_FILE as JSON.
 */
const EVERY_MS = 2

interface Sample {
  readonly lateMs: number
  readonly workedMs: number
}

if (isMainThread && process.env['LOOP_DELAY_FILE'] !== undefined)
  measureOnSignal(process.env['LOOP_DELAY_FILE'])

function measureOnSignal(file: string): void {
  let samples: Sample[] = []
  let timer: NodeJS.Timeout | undefined
  const sample = (due: number, workedBefore: number): void => {
    const now = performance.now()
    const worked = workedMs()
    samples.push({ lateMs: Math.max(0, now - due), workedMs: worked - workedBefore })
    timer = setTimeout(sample, EVERY_MS, now + EVERY_MS, worked)
  }
  process.on('SIGUSR2', () => {
    if (timer === undefined) {
      samples = []
      timer = setTimeout(sample, EVERY_MS, performance.now() + EVERY_MS, workedMs())
      return
    }
    clearTimeout(timer)
    timer = undefined
    writeFileSync(file, JSON.stringify(samples))
  })
}

function workedMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

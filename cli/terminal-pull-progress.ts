import { LiveLines, type Terminal } from './live-lines.ts'
import { pullLines } from './pull-lines.ts'
import { PullMeter, type PullView } from './pull-meter.ts'

/** A stall shows although nothing is told of it. */
const REPAINT_MS = 500

/** A pull on a terminal: a line for each layer and one for all of them, which change in place. */
export function terminalPullProgress(
  reference: string,
  terminal: Terminal,
  nowMs: () => number = () => performance.now(),
): PullView {
  const meter = new PullMeter()
  const startedMs = nowMs()
  const lines = new LiveLines(terminal)
  let isDone = false
  const paint = (): void => {
    const { columns, rows } = terminal.size()
    const now = nowMs()
    const elapsedMs = now - startedMs
    lines.show(pullLines(meter, { reference, columns, rows, nowMs: now, elapsedMs, isDone }))
  }
  const timer = setInterval(paint, REPAINT_MS)
  const stopResizing = terminal.onResize(paint)
  paint()
  return {
    update(changed) {
      meter.update(changed, nowMs())
      paint()
    },
    finish() {
      isDone = true
      paint()
    },
    [Symbol.dispose]() {
      clearInterval(timer)
      stopResizing()
    },
  }
}

import { humanSize } from './columns.ts'
import { isReady, PullMeter, type PullView, type ShownLayer } from './pull-meter.ts'

const SAY_EVERY_MS = 5_000

/** A pull as lines of text, for logs: its beginning, each layer that is ready, and now and then how far it is. */
export function plainPullProgress(
  reference: string,
  write: (text: string) => void,
  nowMs: () => number = () => performance.now(),
): PullView {
  const meter = new PullMeter()
  const ready = new Set<number>()
  let saidMs = nowMs()
  const say = (line: string): void => {
    saidMs = nowMs()
    write(`${line}\n`)
  }
  say(`pulling ${reference}`)
  return {
    update(changed) {
      const isFirst = meter.layers.length === 0
      meter.update(changed, nowMs())
      const { layers, sizeBytes, hereBytes } = meter.totals
      if (isFirst) say(`${count(layers)}, ${humanSize(sizeBytes + hereBytes)}`)
      for (const [index, layer] of meter.layers.entries()) {
        if (!isReady(layer) || ready.has(index)) continue
        ready.add(index)
        say(`${arrival(layer)} (${ready.size}/${layers})`)
      }
      if (nowMs() - saidMs >= SAY_EVERY_MS) say(howFar(meter, nowMs()))
    },
    finish() {
      if (meter.layers.length === 0) say('nothing was fetched: it is here already')
    },
    [Symbol.dispose]() {},
  }
}

const count = (layers: number): string => `${layers} layer${layers === 1 ? '' : 's'}`

const arrival = ({ digest, phase, sizeBytes }: ShownLayer): string =>
  phase === 'here' ? `${digest} is here already` : `${digest} done, ${humanSize(sizeBytes)}`

function howFar(meter: PullMeter, nowMs: number): string {
  const { layers, ready, receivedBytes, sizeBytes } = meter.totals
  const rate = humanSize(meter.totalRate(nowMs))
  return `fetched ${humanSize(receivedBytes)} of ${humanSize(sizeBytes)}, ${rate}/s (${ready}/${layers} layers ready)`
}

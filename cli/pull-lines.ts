import { humanSize } from './columns.ts'
import type { PullMeter, ShownLayer } from './pull-meter.ts'

export interface PullLinesOptions {
  readonly reference: string
  readonly columns: number
  readonly rows: number
  readonly nowMs: number
  readonly elapsedMs: number
  /** It has succeeded. */
  readonly isDone: boolean
}

const LONGEST_BAR = 30
/** A bar that is shorter tells nothing. */
const SHORTEST_BAR = 8

/** A pull as lines that a terminal of that size holds: the reference, its layers, the total. */
export function pullLines(meter: PullMeter, options: PullLinesOptions): string[] {
  const { reference, columns, rows } = options
  const head = `pulling ${reference}`
  const layers = shownLayers(meter, Math.max(rows - 4, 1)).map((index) => layerLine(meter, index, options))
  const hidden = meter.layers.length - layers.length
  const more = hidden > 0 ? [`… and ${hidden} more`] : []
  const ended = options.isDone ? ['nothing was fetched: it is here already'] : []
  const total = meter.layers.length > 0 ? [totalLine(meter, options)] : ended
  return [head, ...layers, ...more, ...total].map((line) => within(line, columns))
}

/** In their order; where there is no room for all, those under way go first, then those that wait. */
function shownLayers({ layers }: PullMeter, room: number): number[] {
  const indexes = layers.map((_, index) => index)
  if (indexes.length <= room) return indexes
  const rank = { fetching: 0, unpacking: 0, waiting: 1, done: 2, here: 2 } as const
  const urgency = (index: number): number => rank[layers[index]?.phase ?? 'waiting']
  const chosen = indexes.toSorted((a, b) => urgency(a) - urgency(b) || a - b).slice(0, room)
  return chosen.toSorted((a, b) => a - b)
}

const PHASES: { readonly [phase in ShownLayer['phase']]: string } = {
  waiting: 'waiting',
  fetching: 'fetching',
  unpacking: 'unpacking',
  done: 'done',
  here: 'already here',
}

function layerLine(meter: PullMeter, index: number, { columns, nowMs }: PullLinesOptions): string {
  const layer = meter.layers[index]
  if (layer === undefined) return ''
  const { digest, phase, receivedBytes, sizeBytes } = layer
  const start = `${digest.replace(/^sha256:/, '').slice(0, 12)}  ${PHASES[phase].padEnd(12)}`
  if (phase !== 'fetching') return `${start}  ${humanSize(sizeBytes).padStart(7)}`
  const end = `${humanSize(meter.rate(index, nowMs)).padStart(7)}/s`
  return measured(start, receivedBytes, sizeBytes, end, columns)
}

function totalLine(meter: PullMeter, { columns, nowMs, elapsedMs }: PullLinesOptions): string {
  const { layers, ready, receivedBytes, sizeBytes } = meter.totals
  const start = `${`${ready}/${layers} layers`.padEnd(12)}  ${clock(elapsedMs).padEnd(12)}`
  if (sizeBytes === 0) return start.trimEnd()
  // At the end the mean says more than the last seconds.
  const rate = ready === layers ? (receivedBytes * 1000) / Math.max(elapsedMs, 1) : meter.totalRate(nowMs)
  return measured(start, receivedBytes, sizeBytes, `${humanSize(rate).padStart(7)}/s`, columns)
}

/** `start  1.2MB/3.4MB  [===>    ]  end`; the bar takes what room there is; where there is none it goes first, then the end. */
function measured(start: string, done: number, whole: number, end: string, columns: number): string {
  const [sofar, size] = [humanSize(done).padStart(7), humanSize(whole).padEnd(7)]
  const front = `${start}  ${sofar}/${size}`
  const room = columns - 1 - front.length - end.length - 4
  if (room < 0) return front
  if (room < SHORTEST_BAR + 2) return `${front}  ${end}`
  const width = Math.min(room - 2, LONGEST_BAR)
  const filled = whole === 0 ? width : Math.min(width, Math.floor((done / whole) * width))
  const bar = filled === 0 || filled === width ? '='.repeat(filled) : `${'='.repeat(filled - 1)}>`
  return `${front}  [${bar.padEnd(width)}]  ${end}`
}

function clock(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/** The last column stays free: some terminals begin a new line there. */
const within = (line: string, columns: number): string =>
  line.length < columns ? line : `${line.slice(0, Math.max(columns - 2, 0))}…`

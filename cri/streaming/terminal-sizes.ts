import type { Readable } from 'node:stream'
import type { TerminalSize } from '#runtime/monitor-port.ts'

const LONGEST_SIZE = 1024
const MOST_CELLS = 0xffff

/**
 * Hears the sizes that a client sends: `{"Width":80,"Height":24}`, one after the other. What is none is passed over.
 * A size that comes before anybody listens is kept.
 */
export function terminalSizes(
  source: Readable | undefined,
): (listener: (size: TerminalSize) => void) => void {
  let tell: ((size: TerminalSize) => void) | undefined
  let known: TerminalSize | undefined
  let text = ''
  source?.on('error', () => {})
  source?.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}')) {
      known = sizeIn(text.slice(0, end + 1)) ?? known
      text = text.slice(end + 1)
      if (known !== undefined) tell?.(known)
    }
    if (text.length > LONGEST_SIZE) text = ''
  })
  return (listener) => {
    tell = listener
    if (known !== undefined) listener(known)
  }
}

function sizeIn(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { readonly Width?: unknown; readonly Height?: unknown }
    return isCount(Width) && isCount(Height) ? { columns: Width, rows: Height } : undefined
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) <= MOST_CELLS

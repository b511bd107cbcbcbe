import { constants } from 'node:os'
import { invalidArgument } from './errors.ts'

const SIGRTMIN = 34
const SIGRTMAX = 64

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`: as images and requests name signals. */
export function signalNumber(name: string): number {
  if (/^\d+$/.test(name)) return inRange(name, Number(name))
  const full = name.startsWith('SIG') ? name : `SIG${name}`
  const realTime = /^SIGRTM(IN|AX)(?:([+-])(\d+))?$/.exec(full)
  if (realTime !== null) {
    const [, end, sign, offset = '0'] = realTime
    return inRange(name, (end === 'IN' ? SIGRTMIN : SIGRTMAX) + (sign === '-' ? -1 : 1) * Number(offset))
  }
  const numbers: { readonly [name: string]: number | undefined } = constants.signals
  return inRange(name, numbers[full] ?? 0)
}

function inRange(name: string, value: number): number {
  if (value >= 1 && value <= SIGRTMAX) return value
  throw invalidArgument(
    `${name} is no signal: name one as SIGTERM, SIGRTMIN+3 or by its number (1 to ${SIGRTMAX})`,
  )
}

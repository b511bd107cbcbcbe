import { constants } from 'node:os'
import { invalidArgument } from '#lib/errors.ts'
import { Signal } from '#proto/gen/runtime/v1/api.ts'

/** `SIGTERM`, `SIGRTMIN+3`, or '' for the default of the image and the runtime. Throws invalid-argument for an unknown number. */
export function convertStopSignal(signal: number): string {
  if (signal === Signal.SIGNAL_RUNTIME_DEFAULT) return ''
  const name = names.get(signal)
  if (name === undefined)
    throw invalidArgument(`stop_signal ${signal} is none of the CRI's: see its enum Signal`)
  return name
}

/** The other way, for ContainerStatus; images also write `15` and `TERM`. What the CRI has no name for is the default. */
export function stopSignalToWire(signal: string): Signal {
  const upper = signal.toUpperCase()
  return (
    numbers.get(byNumber.get(Number(signal)) ?? upper) ??
    numbers.get(`SIG${upper}`) ??
    Signal.SIGNAL_RUNTIME_DEFAULT
  )
}

const names = new Map<number, string>(
  Object.entries(Signal)
    .filter(([, value]) => value !== Signal.SIGNAL_RUNTIME_DEFAULT)
    .map(([name, value]) => [
      value,
      name.replace('SIGNAL_', '').replace('MINPLUS', 'MIN+').replace('MAXMINUS', 'MAX-'),
    ]),
)

const numbers = new Map<string, Signal>([...names].map(([value, name]) => [name, value as Signal]))

/** Of two names for one number the usual one: SIGABRT, not SIGIOT. */
const byNumber = new Map<number, string>(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
)

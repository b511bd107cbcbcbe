import { signalNumber } from '#lib/signals.ts'
import type { LocalImage } from '../ports.ts'

/** An image may name a signal that there is not; then it is the default. */
export function stopSignalOf({ config }: LocalImage): string {
  try {
    signalNumber(config.stopSignal)
    return config.stopSignal
  } catch {
    return 'SIGTERM'
  }
}

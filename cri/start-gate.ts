import { CriError } from '#lib/errors.ts'

/** Closed until the records and the host agree: before that an answer about a pod could be wrong. */
export class StartGate {
  #open = false

  get isOpen(): boolean {
    return this.#open
  }

  open(): void {
    this.#open = true
  }

  /** Throws unavailable while closed. */
  pass(method: string): void {
    if (this.#open) return
    throw new CriError(
      'unavailable',
      `${method}: cri-ts is starting and reads what runs on this host; try again when Status says RuntimeReady`,
    )
  }
}

import { CriError } from '#lib/errors.ts'
import { wholeMessage } from './ignored.ts'

/** What a CRI field asks for that is not done yet, and must not be left out unsaid. */
export interface Refusal {
  /** As api.proto names it. */
  readonly field: string
  /** What was asked for: `seccomp profile RuntimeDefault`. */
  readonly what: string
  readonly remedy: string
}

/** Throws unimplemented where `value` asks for something: anything but undefined, false, '' and an empty list. */
export function refuse(value: unknown, { field, what, remedy }: Refusal): void {
  if (typeof value === 'object' && value !== null) Reflect.get(value, wholeMessage)
  if (!value || (Array.isArray(value) && value.length === 0)) return
  throw new CriError(
    'unimplemented',
    `${field}: ${what} is not supported by this version of cri-ts: ${remedy}`,
  )
}

/** Names the object in what `convert` throws: `container web: mounts[0].host_path …`. */
export function within<Result>(object: string, convert: () => Result): Result {
  try {
    return convert()
  } catch (error) {
    if (!(error instanceof CriError)) throw error
    throw new CriError(error.kind, `${object}: ${error.message}`, { cause: error.cause })
  }
}

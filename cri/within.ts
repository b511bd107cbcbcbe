import { CriError } from '#lib/errors.ts'

/** Names the object in what `convert` throws: `container web: mounts[0].host_path …`. */
export function within<Result>(object: string, convert: () => Result): Result {
  try {
    return convert()
  } catch (error) {
    if (!(error instanceof CriError)) throw error
    throw new CriError(error.kind, `${object}: ${error.message}`, { cause: error.cause })
  }
}

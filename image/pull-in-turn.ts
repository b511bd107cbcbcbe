import { CriError, describeError } from '#lib/errors.ts'
import type { RequestAuth } from './auth-credentials.ts'
import type { Reference } from './reference.ts'

/**
 * Tries what a short name may stand for in turn, but for what policy refuses: nobody else's image takes its place.
 * Throws CriError with what came of each, of the last one's kind.
 */
export async function pullInTurn<Result>(
  text: string,
  references: readonly Reference[],
  pull: (reference: Reference) => Promise<Result>,
): Promise<Result> {
  const failures: CriError[] = []
  for (const reference of references) {
    try {
      return await pull(reference)
    } catch (thrown) {
      const isForeseen = thrown instanceof CriError && !['cancelled', 'unverified'].includes(thrown.kind)
      if (!isForeseen || references.length === 1) throw thrown
      failures.push(thrown)
    }
  }
  throw new CriError(
    failures.at(-1)?.kind ?? 'internal',
    `pull ${text}, a short name: ${failures.map(describeError).join('; ')}`,
  )
}

/**
 * Who asks with a short name has looked for credentials of docker.io, as kubelet does: they are sent to no registry that
 * this host's configuration makes of the name, unless they say so.
 */
export function authOfShortName(auth: RequestAuth | undefined): RequestAuth | undefined {
  return auth && { ...auth, serverAddress: auth.serverAddress || 'docker.io' }
}

import type { HandlerSettings } from '../handler.ts'
import type { StringMap } from '../pod-sandbox/record.ts'

/** What of the annotations of a pod and a container reaches the OCI runtime; the container's go over the pod's. */
export function allowedAnnotations(
  { allowedAnnotations: patterns }: Pick<HandlerSettings, 'allowedAnnotations'>,
  ...sources: readonly StringMap[]
): StringMap {
  const expressions = patterns.map(expressionOf)
  const entries = sources
    .flatMap((source) => Object.entries(source))
    .filter(([name]) => expressions.some((expression) => expression.test(name)))
  return Object.fromEntries(entries)
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((text) => RegExp.escape(text))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}

/** Read by `ignored` of a message, so that a test can tell a message left alone on purpose from a forgotten one. */
export const wholeMessage = Symbol('whole message')

/** A field that is read and has no effect here, on purpose; `why` is said to whoever reads the call. */
export function ignored(value: unknown, _why: string): void {
  if (typeof value === 'object' && value !== null) Reflect.get(value, wholeMessage)
}

/** The `info` of a status: one topic each, as JSON; empty unless the request is verbose. */
export function verboseInfo(
  verbose: boolean,
  topics: () => { readonly [topic: string]: object },
): { [topic: string]: string } {
  if (!verbose) return {}
  return Object.fromEntries(Object.entries(topics()).map(([topic, value]) => [topic, JSON.stringify(value)]))
}

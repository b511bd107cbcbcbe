/** What a registry sent, as JSON; undefined where it is none. Its shape is still to be checked. */
export function foreignJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

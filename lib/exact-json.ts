/** What ES2026 has and TypeScript does not know yet. */
const json = JSON as unknown as {
  rawJSON(text: string): unknown
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown
}

/** A number that a double cannot hold, such as 2^64-1: JSON.stringify writes it as it stands here. */
export const exactNumber = (text: string): number => json.rawJSON(text) as number

/** JSON with its large numbers kept as they are written, for what is only passed on. */
export const parseExact = (text: string): unknown =>
  json.parse(text, (_, value, { source }) =>
    typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && source !== undefined
      ? json.rawJSON(source)
      : value,
  )

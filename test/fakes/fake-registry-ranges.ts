import type { ServerResponse } from 'node:http'

/** False: the whole is sent; refused: the answer is 416; wrong: another range is sent than is asked for. */
export type Ranges = boolean | 'refused' | 'wrong'

/** Sends a blob, or what a Range header asks for of it. */
export function sendRange(
  response: ServerResponse,
  asked: string | undefined,
  blob: Buffer,
  ranges: Ranges,
): void {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(asked ?? '') ?? []
  if (from === undefined || ranges === false) {
    response.writeHead(200, { 'content-length': blob.length })
    response.end(blob)
    return
  }
  if (ranges === 'refused') {
    refuse(response, 416, 'UNSUPPORTED', 'no ranges here')
    return
  }
  const start = Number(from) + (ranges === 'wrong' ? 1 : 0)
  const part = blob.subarray(start, to ? Number(to) + 1 : undefined)
  const range = `bytes ${start}-${start + part.length - 1}/${blob.length}`
  response.writeHead(206, { 'content-length': part.length, 'content-range': range })
  response.end(part)
}

export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message }] }))
}

import { readFileSync } from 'node:fs'
import { request } from 'node:https'

const TIMEOUT_MS = 30_000
const PORT = 10_250

export interface Answer {
  readonly status: number
  readonly body: string
}

/** A kubelet's API on this host, whose certificate must be that in `certificate`. */
export const kubeletApi = (certificate: string, node: string) => ({
  get: (path: string) => ask('GET', path, certificate, node),
  post: (path: string) => ask('POST', path, certificate, node),
})

function ask(method: string, path: string, certificate: string, servername: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const where = { host: '127.0.0.1', port: PORT, path, method, servername, agent: false as const, signal }
  const call = request({ ...where, ca: readFileSync(certificate) }, (response) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('error', reject)
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
    )
  })
  call.on('error', reject)
  call.end()
  return promise
}

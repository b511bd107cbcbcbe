import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CriError } from '#lib/errors.ts'
import type { Metrics } from '#lib/metrics.ts'

export interface MetricsServer extends AsyncDisposable {
  readonly url: string
}

const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
/** containerd's path is the second. */
const PATHS = ['/metrics', '/v1/metrics']

/** Serves them to Prometheus by HTTP. Throws unavailable when the address can't be listened on. */
export async function startMetricsServer(
  { host, port }: { readonly host: string; readonly port: number },
  metrics: Pick<Metrics, 'text'>,
): Promise<MetricsServer> {
  const shownHost = host.includes(':') ? `[${host}]` : host
  const server = createServer(({ method, url }, response) => {
    const path = url?.split('?')[0] ?? ''
    if (!PATHS.includes(path)) refuse(response, 404, 'the metrics are at /metrics')
    else if (method !== 'GET' && method !== 'HEAD') refuse(response, 405, 'metrics are only read')
    else {
      response.writeHead(200, { 'content-type': PROMETHEUS_TEXT })
      response.end(metrics.text())
    }
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise.catch((cause: unknown) => {
    throw new CriError(
      'unavailable',
      `metrics.address ${shownHost}:${port} can't be listened on: choose another, or "" for none`,
      { cause },
    )
  })
  return {
    url: `http://${shownHost}:${(server.address() as AddressInfo).port}/metrics`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done))
      server.closeAllConnections()
      await closed
    },
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${why}\n`)
}

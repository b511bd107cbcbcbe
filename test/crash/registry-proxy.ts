import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { busyboxFiles } from '#test/fixtures/busybox-image.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { startRegistry } from '#test/integration/registry.ts'
import { ordersIn } from './crash-points.ts'

const PULLED_BYTES = 1 << 20

/** A registry with an image of two layers; at `download layer-0` it ends the daemon that has got a half of that one. */
export async function registryProxy(
  directory: string,
): Promise<AsyncDisposable & { readonly image: string }> {
  await using undo = new AsyncDisposableStack()
  const registry = undo.use(await startRegistry())
  const image = buildImage({
    layers: [busyboxFiles(), [{ name: 'pulled', content: randomBytes(PULLED_BYTES) }]],
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
  })
  await registry.push('e2e/pulled', 'latest', image)
  const layers = image.layers.map(({ digest }) => digest)
  const server = createServer((request, response) => {
    pass(request, response).catch((error: Error) => response.destroy(error))
  })
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const {
      url = '',
      method = 'GET',
      headers: { accept },
    } = request
    const answer = await fetch(`${registry.url}${url}`, { method, headers: accept ? { accept } : {} })
    const body = Buffer.from(await answer.arrayBuffer())
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    const layer = method === 'GET' ? layers.findIndex((digest) => url.endsWith(digest)) : -1
    if (layer >= 0) passDownload(directory, `download layer-${layer}`, body, response)
    else response.end(body)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const resources = undo.move()
  const { port } = server.address() as AddressInfo
  return {
    image: `127.0.0.1:${port}/e2e/pulled:latest`,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function passDownload(directory: string, name: string, body: Buffer, response: ServerResponse): void {
  const { order, journal } = ordersIn(directory)
  const [point, pid] = textOf(order).split('\n')
  if (point !== undefined) appendFileSync(journal, `${name}\n`)
  if (point !== name) return void response.end(body)
  response.write(body.subarray(0, body.length / 2), () => {
    rmSync(order)
    process.kill(Number(pid), 'SIGKILL')
  })
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

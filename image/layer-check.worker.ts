import { parentPort } from 'node:worker_threads'
import { CriError, describeError } from '#lib/errors.ts'
import type { LayerCheckAnswer, LayerCheckRequest } from './layer-check.ts'
import { verifyLayer } from './layer-tar.ts'

/** One layer after the other: reads all its files. */
if (parentPort === null) throw new Error('this file is a worker')
const port = parentPort
port.on('message', (request: LayerCheckRequest) => {
  void answer(request).then((found) => port.postMessage(found))
})

async function answer({ diffId, ...place }: LayerCheckRequest): Promise<LayerCheckAnswer> {
  try {
    return { problems: await verifyLayer(place, diffId) }
  } catch (error) {
    if (error instanceof CriError && error.kind === 'not-found') return { problems: [], unknown: true }
    return { problems: [], unread: describeError(error) }
  }
}

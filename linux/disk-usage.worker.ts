import { parentPort } from 'node:worker_threads'
import { describeError } from '#lib/errors.ts'
import type { DiskUsageAnswer, DiskUsageRequest } from './disk-usage.ts'
import { measureTree } from './tree-usage.ts'

/** One request, one answer, in order. */
if (parentPort === null) throw new Error('this file is a worker')
const port = parentPort

port.on('message', (request: DiskUsageRequest) => port.postMessage(answer(request)))

function answer({ path, timeoutMs }: DiskUsageRequest): DiskUsageAnswer {
  try {
    return { usage: measureTree(path, timeoutMs) }
  } catch (error) {
    return { error: describeError(error) }
  }
}

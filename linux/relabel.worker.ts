import { parentPort, workerData } from 'node:worker_threads'
import { CriError, describeError } from '#lib/errors.ts'
import { relabelTree } from './relabel-tree.ts'
import type { RelabelAnswer, RelabelWork } from './relabels.ts'

const { paths, label, givenUp } = workerData as RelabelWork
parentPort?.postMessage(answer())

function answer(): RelabelAnswer {
  try {
    for (const path of paths) relabelTree(path, label, () => Atomics.load(givenUp, 0) === 1)
    return { done: true }
  } catch (thrown) {
    const kind = thrown instanceof CriError ? thrown.kind : 'internal'
    return { error: { kind, message: describeError(thrown) } }
  }
}

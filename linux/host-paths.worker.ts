import { parentPort } from 'node:worker_threads'
import { CriError, describeError } from '#lib/errors.ts'
import { allDevices, devicesOf } from './device-nodes.ts'
import type { HostPathsAnswer, HostPathsRequest, LOADED } from './host-paths.ts'
import { makeLogDirectory } from './log-directory.ts'
import { mountMappedCopy } from './mapped-copy.ts'
import { resolveMountSource } from './mount-source.ts'
import { readSmallFile } from './small-file.ts'

/** One request, one answer; all calls are synchronous, so that a hung one hangs this thread alone. */
if (parentPort === null) throw new Error('this file is a worker')
const port = parentPort

port.postMessage('loaded' satisfies typeof LOADED)
port.on('message', (request: HostPathsRequest) => port.postMessage(answer(request)))

function answer(request: HostPathsRequest): HostPathsAnswer {
  try {
    return { result: ask(request) }
  } catch (thrown) {
    const kind = thrown instanceof CriError ? thrown.kind : 'internal'
    return { error: { kind, message: describeError(thrown) } }
  }
}

function ask(request: HostPathsRequest): Extract<HostPathsAnswer, { result: unknown }>['result'] {
  switch (request.ask) {
    case 'logDirectory':
      makeLogDirectory(request.path)
      return undefined
    case 'mountSource':
      return resolveMountSource(request.path, request.request)
    case 'devices':
      return devicesOf(request.device)
    case 'allDevices':
      return allDevices()
    case 'mappedCopy':
      mountMappedCopy(request.path, request.target, request.userNamespace)
      return undefined
    case 'file':
      return readSmallFile(request.path)
  }
}

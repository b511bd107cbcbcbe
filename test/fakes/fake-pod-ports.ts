import { CriError } from '#lib/errors.ts'
import type { PodPorts } from '#runtime/pod-ports-port.ts'
import type { FakeHost } from './fake-host.ts'

export function fakePodPorts(host: FakeHost): PodPorts {
  return {
    async connect(netnsPath, port) {
      const listener = host.listeners.get(`${netnsPath ?? 'host'}:${port}`)
      if (listener === undefined) throw new CriError('unavailable', `port ${port}: nobody listens`)
      return listener()
    },
  }
}

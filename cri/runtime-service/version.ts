import type { VersionRequest, VersionResponse } from '#proto/gen/runtime/v1/api.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'
import type { RuntimeStatus } from './runtime-status.ts'

/** Of the kubelet's runtime API; containerd and CRI-O answer it too. */
const kubeletApiVersion = '0.1.0'

export function version(status: Pick<RuntimeStatus, 'version'>): Handler<VersionRequest, VersionResponse> {
  return (request) => {
    ignored(request.version, 'there is one version of the API')
    return {
      version: kubeletApiVersion,
      runtimeName: 'cri-ts',
      runtimeVersion: status.version,
      runtimeApiVersion: 'v1',
    }
  }
}

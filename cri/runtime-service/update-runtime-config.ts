import type { UpdateRuntimeConfigRequest, UpdateRuntimeConfigResponse } from '#proto/gen/runtime/v1/api.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'

/** Kubelet tells the node's pod CIDR; here the CNI configuration says which addresses pods get. */
export function updateRuntimeConfig(): Handler<UpdateRuntimeConfigRequest, UpdateRuntimeConfigResponse> {
  return (request) => {
    ignored(request.runtimeConfig?.networkConfig?.podCidr, 'the CNI configuration has it')
    return {}
  }
}

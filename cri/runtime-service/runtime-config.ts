import {
  CgroupDriver,
  type RuntimeConfigRequest,
  type RuntimeConfigResponse,
} from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import type { RuntimeStatus } from './runtime-status.ts'

/** Kubelet asks once and then makes its pods' cgroups in this driver's form. */
export function runtimeConfig(
  status: Pick<RuntimeStatus, 'cgroupDriver'>,
): Handler<RuntimeConfigRequest, RuntimeConfigResponse> {
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }
  return () => ({ linux: { cgroupDriver: driver[status.cgroupDriver] } })
}

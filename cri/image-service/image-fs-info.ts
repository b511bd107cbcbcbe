import type { ImageStore } from '#image/image-source.ts'
import type { FilesystemUsage, ImageFsInfoRequest, ImageFsInfoResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Handler } from '../unary.ts'

/** Images and what containers write lie on one file system: kubelet takes two equal entries for that. */
export function imageFsInfo(
  store: Pick<ImageStore, 'usage'>,
  clock: Clock,
): Handler<ImageFsInfoRequest, ImageFsInfoResponse> {
  return async () => {
    const { path, usedBytes, usedInodes } = await store.usage()
    const usage: FilesystemUsage = {
      timestamp: BigInt(clock.nowNs()),
      fsId: { mountpoint: path },
      usedBytes: { value: BigInt(usedBytes) },
      inodesUsed: { value: BigInt(usedInodes) },
    }
    return { imageFilesystems: [usage], containerFilesystems: [usage] }
  }
}

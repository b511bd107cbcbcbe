import type { ImageFilesystemUsage, ImageStore } from '#image/image-source.ts'
import type { FilesystemUsage, ImageFsInfoRequest, ImageFsInfoResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Handler } from '../unary.ts'

/** Kubelet takes two equal entries for one file system, and two that differ for an image store on a disk of its own. */
export function imageFsInfo(
  store: Pick<ImageStore, 'usage'>,
  clock: Clock,
): Handler<ImageFsInfoRequest, ImageFsInfoResponse> {
  const usageOf = ({ path, usedBytes, usedInodes }: ImageFilesystemUsage): FilesystemUsage => ({
    timestamp: BigInt(clock.nowNs()),
    fsId: { mountpoint: path },
    usedBytes: { value: BigInt(usedBytes) },
    inodesUsed: { value: BigInt(usedInodes) },
  })
  return async () => {
    const { images, containers } = await store.usage()
    return { imageFilesystems: [usageOf(images)], containerFilesystems: [usageOf(containers)] }
  }
}

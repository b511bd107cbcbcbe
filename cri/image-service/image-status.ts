import type { ImageRecord, ImageStore } from '#image/image-source.ts'
import type { ImageStatusRequest, ImageStatusResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { convertImage } from './convert-image.ts'
import { imageOfSpec } from './read-image-spec.ts'

/** An image that is not here is an answer without one, not an error (api.proto, ImageStatus). */
export function imageStatus(
  store: Pick<ImageStore, 'find' | 'localNames'>,
): Handler<ImageStatusRequest, ImageStatusResponse> {
  return ({ image, verbose }) => {
    const found = imageOfSpec(store, image)
    if (found === undefined) return { image: undefined, info: {} }
    return { image: convertImage(found), info: verbose ? { info: JSON.stringify(details(found)) } : {} }
  }
}

/** With the config in the names of the OCI image specification, as other runtimes show it. */
function details({ manifestDigest, diffIds, pulledAtNs, config }: ImageRecord): object {
  return {
    manifestDigest,
    pulledAt: new Date(Number(BigInt(pulledAtNs) / 1_000_000n)).toISOString(),
    imageSpec: {
      config: {
        User: config.user,
        Env: config.env,
        Entrypoint: config.entrypoint,
        Cmd: config.cmd,
        WorkingDir: config.workingDirectory,
        StopSignal: config.stopSignal,
        Volumes: Object.fromEntries(config.volumes.map((path) => [path, {}])),
      },
      rootfs: { type: 'layers', diff_ids: diffIds },
    },
  }
}

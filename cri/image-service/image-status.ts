import type { ImageRecord, ImageStore } from '#image/image-source.ts'
import type { ImageStatusRequest, ImageStatusResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { convertImage } from './convert-image.ts'
import { imageOfSpec } from './read-image-spec.ts'

/** An image that is not here is an answer without one, not an error (api.proto, ImageStatus). */
export function imageStatus(
  store: Pick<ImageStore, 'find' | 'localNames' | 'configOf'>,
): Handler<ImageStatusRequest, ImageStatusResponse> {
  return ({ image, verbose }) => {
    const found = imageOfSpec(store, image)
    if (found === undefined) return { image: undefined, info: {} }
    const info = verbose ? { info: JSON.stringify(details(found, store.configOf(found.id))) } : {}
    return { image: convertImage(found), info }
  }
}

/** With the config as it came, whole: labels, ports and history are read by people and by tools, not by us. */
function details(
  { manifestDigest, pulledAtNs, artifactType }: ImageRecord,
  config: Buffer | undefined,
): object {
  const spec: unknown = config && JSON.parse(config.toString())
  return {
    manifestDigest,
    pulledAt: new Date(Number(BigInt(pulledAtNs) / 1_000_000n)).toISOString(),
    ...(artifactType === undefined ? { imageSpec: spec } : { artifactType, manifest: spec }),
  }
}

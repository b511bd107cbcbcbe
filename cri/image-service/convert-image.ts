import type { ImageRecord } from '#image/image-source.ts'
import type { Image } from '#proto/gen/runtime/v1/api.ts'

/** An image as the CRI shows it. */
export function convertImage({ id, tags, digests, sizeBytes, config, pinned }: ImageRecord): Image {
  return {
    id,
    repoTags: tags,
    repoDigests: digests,
    size: BigInt(sizeBytes),
    ...convertUser(config.user),
    spec: { image: id, annotations: {}, userSpecifiedImage: '', runtimeHandler: '', imageRef: '' },
    pinned,
  }
}

/** `1000:1000` and `www-data:33` → a uid or a name, by which kubelet checks runAsNonRoot. Neither: root by default. */
function convertUser(user: string): Pick<Image, 'uid' | 'username'> {
  const name = user.split(':')[0] ?? ''
  return /^\d{1,18}$/.test(name)
    ? { uid: { value: BigInt(name) }, username: '' }
    : { uid: undefined, username: name }
}

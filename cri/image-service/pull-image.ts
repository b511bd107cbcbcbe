import type { RequestAuth } from '#image/auth-credentials.ts'
import type { ImagePuller } from '#image/pull.ts'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import type { AuthConfig, PullImageRequest, PullImageResponse } from '#proto/gen/runtime/v1/api.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'
import { readImageSpec } from './read-image-spec.ts'

export interface NamedHandler {
  readonly name: string
}

/** Answers the image's id, the same that lists and container statuses show. A hang-up ends it, if nobody else waits for it. */
export function pullImage(
  puller: ImagePuller,
  handlers: readonly NamedHandler[],
): Handler<PullImageRequest, PullImageResponse> {
  return async ({ image, auth, sandboxConfig }, { signal }) => {
    ignored(
      sandboxConfig,
      'but for its namespace, which may have credentials and a policy, the pod does not matter',
    )
    const options = { namespace: sandboxConfig?.metadata?.namespace ?? '' }
    const reference = readImageSpec(image)
    checkHandler(image?.runtimeHandler ?? '', handlers)
    try {
      return { imageRef: await puller.pull(reference, auth && convertAuth(auth), signal, options) }
    } catch (thrown) {
      throw asKubeletReadsIt(thrown)
    }
  }
}

/** Every handler runs the same images, but one that is not there is refused (api.proto, ImageSpec.runtime_handler). */
function checkHandler(name: string, handlers: readonly NamedHandler[]): void {
  const names = handlers.map((handler) => handler.name)
  if (name === '' || names.includes(name)) return
  throw invalidArgument(
    `image.runtime_handler is ${name}, which is not configured: it must be one of ${names.join(', ')}, or left out`,
  )
}

/** Kubelet shows a pull as RegistryUnavailable, rather than ErrImagePull, by what the message begins with. */
function asKubeletReadsIt(thrown: unknown): unknown {
  if (!(thrown instanceof CriError) || thrown.kind !== 'unavailable') return thrown
  return new CriError('registry-unavailable', `RegistryUnavailable: ${describeError(thrown)}`)
}

const convertAuth = (auth: AuthConfig): RequestAuth => ({
  username: auth.username,
  password: auth.password,
  auth: auth.auth,
  serverAddress: auth.serverAddress,
  identityToken: auth.identityToken,
  registryToken: auth.registryToken,
})

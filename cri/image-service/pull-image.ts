import type { RequestAuth } from '#image/auth-credentials.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { AuthConfig, PullImageRequest, PullImageResponse } from '#proto/gen/runtime/v1/api.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'
import { readImageSpec } from './read-image-spec.ts'

/** Answers the image's id, the same that lists and container statuses show. A hang-up ends it, if nobody else waits for it. */
export function pullImage(puller: ImagePuller): Handler<PullImageRequest, PullImageResponse> {
  return async ({ image, auth, sandboxConfig }, { signal }) => {
    ignored(sandboxConfig, "but for its namespace, the pod does not matter: credentials are the request's")
    const options = { namespace: sandboxConfig?.metadata?.namespace ?? '' }
    return { imageRef: await puller.pull(readImageSpec(image), auth && convertAuth(auth), signal, options) }
  }
}

const convertAuth = (auth: AuthConfig): RequestAuth => ({
  username: auth.username,
  password: auth.password,
  auth: auth.auth,
  serverAddress: auth.serverAddress,
  identityToken: auth.identityToken,
  registryToken: auth.registryToken,
})

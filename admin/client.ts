import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { z } from 'zod'
import { CriError, errnoOf } from '#lib/errors.ts'
import { failure, IMAGES_PATH, IMPORT_PATH, importedImages, listedImages } from './protocol.ts'

export type ImportedImage = Readonly<z.infer<typeof importedImages>[number]>
export type ListedImage = Readonly<z.infer<typeof listedImages>[number]>

/** The daemon's own commands; each throws the CriError that the daemon met, or unavailable when none answers. */
export interface AdminClient {
  /** An absolute path, which the daemon reads. */
  importArchive(path: string, name: string | undefined): Promise<readonly ImportedImage[]>
  listImages(): Promise<readonly ListedImage[]>
}

/** Where the daemon with this state directory listens for them. */
export const adminSocket = (state: string): string => join(state, 'admin.sock')

export function adminClient(socketPath: string): AdminClient {
  return {
    importArchive: async (path, name) => {
      const query = name === undefined ? '' : `?${new URLSearchParams({ name })}`
      return importedImages.parse(await call(socketPath, 'POST', IMPORT_PATH + query, { path }))
    },
    listImages: async () => listedImages.parse(await call(socketPath, 'GET', IMAGES_PATH)),
  }
}

async function call(socketPath: string, method: string, path: string, body?: object): Promise<unknown> {
  const sent = body === undefined ? '' : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; answer: string }>()
  const headers = { 'content-length': Buffer.byteLength(sent) }
  request({ socketPath, method, path, headers, agent: false }, (response) => {
    text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), reject)
  })
    .on('error', reject)
    .end(sent)

  const { status, answer } = await promise.catch((cause: unknown) => {
    throw unreachable(socketPath, cause)
  })
  if (status === 200) return JSON.parse(answer)
  const { kind, message } = failure.parse(JSON.parse(answer))
  throw new CriError(kind, message)
}

function unreachable(socketPath: string, cause: unknown): CriError {
  const remedy =
    errnoOf(cause) === 'EACCES'
      ? 'only root may: run it with sudo'
      : 'start it with `cri-ts serve`, or give the --state or --config that it runs with'
  return new CriError('unavailable', `the daemon can't be asked on ${socketPath}: ${remedy}`, { cause })
}

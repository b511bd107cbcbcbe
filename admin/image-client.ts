import type { z } from 'zod'
import type { AdminClient } from './client.ts'
import {
  EXPORT_PATH,
  type exportRequest,
  IMAGE_PATH,
  IMAGES_PATH,
  IMPORT_PATH,
  importedImages,
  inspectedImage,
  listedImages,
  PULL_PATH,
  pullLine,
  type pullRequest,
  removedImage,
} from './image-protocol.ts'

/** What the CLI asks about images; errors as of AdminClient. */
export interface ImageClient {
  /** An absolute path, which the daemon reads. */
  importArchive(path: string, name: string | undefined): Promise<z.infer<typeof importedImages>>
  /** To an absolute path, which the daemon writes. */
  exportArchive(request: z.infer<typeof exportRequest>): Promise<z.infer<typeof importedImages>>
  list(): Promise<z.infer<typeof listedImages>>
  /** Tells what changes as the pull goes on, and its id at the end. Who stops reading gives it up. */
  pull(request: z.infer<typeof pullRequest>): AsyncGenerator<z.infer<typeof pullLine>>
  inspect(reference: string): Promise<z.infer<typeof inspectedImage>>
  /** What was removed; throws not-found. */
  remove(reference: string): Promise<z.infer<typeof removedImage>>
}

export function imageClient({ call, lines }: AdminClient): ImageClient {
  const query = (path: string, parameters: Record<string, string>) =>
    `${path}?${new URLSearchParams(parameters)}`
  return {
    importArchive: async (path, name) => {
      const target = name === undefined ? IMPORT_PATH : query(IMPORT_PATH, { name })
      return importedImages.parse(await call('POST', target, { path }))
    },
    exportArchive: async (request) => importedImages.parse(await call('POST', EXPORT_PATH, request)),
    list: async () => listedImages.parse(await call('GET', IMAGES_PATH)),
    async *pull(request) {
      for await (const line of lines('POST', PULL_PATH, request)) yield pullLine.parse(line)
    },
    inspect: async (reference) => inspectedImage.parse(await call('GET', query(IMAGE_PATH, { reference }))),
    remove: async (reference) => removedImage.parse(await call('DELETE', query(IMAGE_PATH, { reference }))),
  }
}

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CriError, errnoOf } from '#lib/errors.ts'
import { parseWith, pluginSchema } from './network-config.ts'
import { specVersions } from './spec-version.ts'

/** All that DEL and CHECK need to repeat what ADD was given. */
const attachmentSchema = z.object({
  sandboxId: z.string(),
  ifName: z.string(),
  netnsPath: z.string(),
  cniArgs: z.string(),
  capabilityArgs: z.record(z.string(), z.unknown()),
  network: z.object({
    name: z.string(),
    cniVersion: z.enum(specVersions),
    disableCheck: z.boolean(),
    disableGC: z.boolean(),
    plugins: z.array(pluginSchema),
  }),
  /** Undefined until the last plugin has answered. */
  result: z.looseObject({}).optional(),
})
export type Attachment = z.infer<typeof attachmentSchema>

/** A file per sandbox that is there from before the first plugin's ADD until after the last one's DEL. */
export interface AttachmentCache {
  /** Undefined where there is none; throws internal where it cannot be read (a power loss). */
  read(sandboxId: string): Promise<Attachment | undefined>
  write(attachment: Attachment): Promise<void>
  remove(sandboxId: string): Promise<void>
  sandboxIds(): Promise<readonly string[]>
}

const SUFFIX = '.json'
const UNFINISHED = '.json.new'

export function createAttachmentCache(directory: string): AttachmentCache {
  const path = (sandboxId: string): string => join(directory, sandboxId + SUFFIX)

  return {
    async read(sandboxId) {
      try {
        return parseWith(attachmentSchema, JSON.parse(await readFile(path(sandboxId), 'utf8')))
      } catch (cause) {
        if (errnoOf(cause) === 'ENOENT') return undefined
        throw new CriError('internal', `the CNI attachment in ${path(sandboxId)} cannot be read`, { cause })
      }
    },

    async write(attachment) {
      const unfinished = join(directory, attachment.sandboxId + UNFINISHED)
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 })
        await writeFile(unfinished, JSON.stringify(attachment), { mode: 0o600 })
        await rename(unfinished, path(attachment.sandboxId))
      } catch (cause) {
        if (errnoOf(cause) !== 'ENOSPC' && errnoOf(cause) !== 'EDQUOT') throw cause
        throw new CriError(
          'resource-exhausted',
          `the CNI attachment in ${unfinished} cannot be written: free space on its file system`,
          { cause },
        )
      }
    },

    async remove(sandboxId) {
      await rm(join(directory, sandboxId + UNFINISHED), { force: true })
      await rm(path(sandboxId), { force: true })
    },

    async sandboxIds() {
      const names = await readdir(directory).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return []
        throw error
      })
      const ids = names.map((name) => /^(.*)\.json(?:\.new)?$/.exec(name)?.[1])
      return [...new Set(ids.filter((id) => id !== undefined))]
    },
  }
}

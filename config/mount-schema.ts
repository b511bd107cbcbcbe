import { resolve } from 'node:path'
import { z } from 'zod'
import { parseQuantity } from '#lib/quantity.ts'
import type { MountSettings } from '#runtime/mount-settings.ts'
import { path, says } from './key-meta.ts'

/** Paths at which every container has a mount of the kernel's or the pod's already. */
const TAKEN =
  /^\/(?:proc|dev|dev\/(?:pts|shm|mqueue)|sys|sys\/fs\/cgroup|etc\/(?:hosts|hostname|resolv\.conf))?$/
const FLAG = /^r?(?:ro|rw|no(?:exec|suid|dev|atime|diratime|symfollow)|exec|suid|dev|relatime|strictatime)$/
const TMPFS_OPTION = /^(?:size=\d+[kmg%]?|nr_inodes=\d+[kmg]?|mode=[0-7]{3,4}|uid=\d+|gid=\d+|tmpcopyup)$/i

const defaultMount = z
  .strictObject({
    source: path.optional(),
    destination: path.refine((value) => !TAKEN.test(resolve(value))),
    type: z.enum(['bind', 'tmpfs']).default('bind'),
    options: z.array(z.string()).default([]),
  })
  .refine(({ type, source }) => (type === 'bind') === (source !== undefined))
  .refine(({ type, options }) =>
    options.every((option) => FLAG.test(option) || (type === 'tmpfs' && TMPFS_OPTION.test(option))),
  )

/** Above zero, and a number that JavaScript can hold. */
export function isSize(text: string): boolean {
  try {
    const bytes = parseQuantity(text)
    return bytes > 0n && bytes <= BigInt(Number.MAX_SAFE_INTEGER)
  } catch {
    return false
  }
}

/** What of the table [runtime] is about mounts. */
export const mountKeys = {
  shm_size: z
    .string()
    .refine(isSize)
    .default('64Mi')
    .meta(
      says(
        "The size of a pod's /dev/shm, where its annotation shm-size.cri-ts.io says no other.",
        'a size such as "64Mi" or "1G"',
      ),
    ),
  image_volumes: z
    .enum(['copy', 'tmpfs', 'ignore'])
    .default('copy')
    .meta(
      says(
        "What becomes of an image's VOLUMEs: a directory (copy) or a tmpfs of the container's own, with what the image has there, or nothing.",
        '"copy", "tmpfs" or "ignore"',
      ),
    ),
  absent_mount_sources_to_reject: z
    .array(path)
    .default([])
    .meta(
      says(
        'Host paths that with all below them are not made into directories when a mount asks for them and they are missing; "/" is every path.',
        'an array of absolute paths',
      ),
    ),
  default_mounts: z
    .array(defaultMount)
    .refine((mounts) => new Set(mounts.map(({ destination }) => resolve(destination))).size === mounts.length)
    .default([])
    .meta(
      says(
        'What is mounted in every container whose request mounts nothing there; a bind needs a source, a tmpfs has none.',
        'an array of tables { source, destination, type = "bind" or "tmpfs", options }, each destination once and none that every container has (/, /proc, /dev, /sys, /etc/hosts …), with the options of a mount and size, nr_inodes, mode, uid, gid and tmpcopyup of a tmpfs',
      ),
    ),
}

export function mountSettings(table: z.infer<z.ZodObject<typeof mountKeys>>): MountSettings {
  return {
    shmSizeBytes: Number(parseQuantity(table.shm_size)),
    imageVolumes: table.image_volumes,
    absentSourcesToReject: table.absent_mount_sources_to_reject.map((each) => resolve(each)),
    defaults: table.default_mounts.map(({ source = '', destination, type, options }) => ({
      source,
      destination: resolve(destination),
      type,
      // As a tmpfs of the kernel's own: nothing to be run as somebody else, and no devices.
      options: type === 'tmpfs' ? ['nosuid', 'nodev', ...options] : options,
    })),
  }
}

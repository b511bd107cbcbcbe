import { readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { Device } from '#runtime/container/record.ts'
import type { HostDevice } from '#runtime/ports.ts'

/**
 * The device node of a request, or each in the directory that it names, with the paths that they get in the container.
 * Links are followed. Throws invalid-argument when there is none. May hang: call it in a worker.
 */
export function devicesOf({ hostPath, containerPath, permissions }: Device): readonly HostDevice[] {
  const stat = statSync(hostPath, { throwIfNoEntry: false })
  if (stat === undefined) {
    throw invalidArgument(`device ${hostPath} does not exist on this host: give the path of a device node`)
  }
  const target = containerPath || hostPath
  if (stat.isDirectory()) return nodesIn(hostPath, target, permissions, new Set())
  const device = hostDevice(target, stat, permissions)
  if (device !== undefined) return [device]
  throw new CriError(
    'invalid-argument',
    `device ${hostPath} is no device node: give a character or block device, or mount the path instead`,
  )
}

/** Not a container's business: terminals of others, and what it has its own of. */
const ownOfContainers = new Set([
  'pts',
  'ptmx',
  'shm',
  'mqueue',
  'fd',
  'console',
  '.lxc',
  '.lxd-mounts',
  '.udev',
])

export const allDevices = (directory = '/dev'): readonly HostDevice[] =>
  nodesIn(directory, '/dev', 'rwm', ownOfContainers)

/** Those of a directory and below; links in it lead to devices that are listed themselves, or to elsewhere. */
function nodesIn(
  hostDirectory: string,
  containerDirectory: string,
  permissions: string,
  except: ReadonlySet<string>,
): readonly HostDevice[] {
  return readdirSync(hostDirectory, { withFileTypes: true }).flatMap((entry): readonly HostDevice[] => {
    if (except.has(entry.name)) return []
    const hostPath = join(hostDirectory, entry.name)
    const containerPath = join(containerDirectory, entry.name)
    if (entry.isDirectory()) return nodesIn(hostPath, containerPath, permissions, except)
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return []
    // A device may go (hotplug) between the two looks.
    const stat = statSync(hostPath, { throwIfNoEntry: false })
    const device = stat === undefined ? undefined : hostDevice(containerPath, stat, permissions)
    return device === undefined ? [] : [device]
  })
}

function hostDevice(path: string, stat: Stats, permissions: string): HostDevice | undefined {
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined
  return {
    path,
    type: stat.isCharacterDevice() ? 'c' : 'b',
    ...deviceNumbers(BigInt(stat.rdev)),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    permissions,
  }
}

/** major(3) and minor(3) of a dev_t as glibc lays it out. */
export const deviceNumbers = (device: bigint): { readonly major: number; readonly minor: number } => ({
  major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
  minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
})

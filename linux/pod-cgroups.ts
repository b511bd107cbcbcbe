import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { PodCgroups } from '#runtime/ports.ts'
import type { CgroupHierarchies } from './cgroups.ts'

/** Where the containers of a pod without a cgroup parent lie. */
export const DEFAULT_CGROUP_PARENT = '/cri-ts'

/**
 * With the cgroupfs driver an OCI runtime makes the missing parents of a cgroup, and nobody removes them.
 * What this makes it writes down first, in `directory`/ID. Slices are systemd's affair.
 */
export function createPodCgroups(hierarchies: CgroupHierarchies, directory: string): PodCgroups {
  const note = (id: string): string => join(directory, id)

  return {
    async ensure(id, cgroupParent) {
      const parent = cgroupParent === '' ? DEFAULT_CGROUP_PARENT : cgroupParent
      if (parent.endsWith('.slice')) return
      const missing = hierarchies.mounts.flatMap(({ path }) => missingBelow(path, parent))
      if (parent === DEFAULT_CGROUP_PARENT)
        missing.push(...hierarchies.mounts.map(({ path }) => join(path, parent)))
      if (missing.length === 0) return
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      writeFileSync(note(id), missing.join('\n'))
      for (const { path } of hierarchies.mounts) mkdirSync(join(path, parent), { recursive: true })
    },

    async remove(id) {
      if (!existsSync(note(id))) return
      for (const path of readFileSync(note(id), 'utf8').split('\n')) removeIfEmpty(path)
      rmSync(note(id), { force: true })
    },
  }
}

/** Innermost first. */
function missingBelow(mount: string, parent: string): string[] {
  const missing: string[] = []
  for (let path = join(mount, parent); path !== mount && !existsSync(path); path = dirname(path))
    missing.push(path)
  return missing
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Another pod is in it, or it is gone.
  }
}

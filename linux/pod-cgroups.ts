import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
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
      const noted = notedIn(directory)
      const isOurs = (path: string): boolean =>
        !existsSync(path) || noted.has(path) || parent === DEFAULT_CGROUP_PARENT
      const ours = hierarchies.mounts.flatMap(({ path }) => withParents(path, parent).filter(isOurs))
      if (ours.length === 0) return
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      writeFileSync(note(id), ours.join('\n'))
      for (const { path } of hierarchies.mounts) mkdirSync(join(path, parent), { recursive: true })
    },

    async remove(id) {
      if (!existsSync(note(id))) return
      for (const path of readFileSync(note(id), 'utf8').split('\n')) removeIfEmpty(path)
      rmSync(note(id), { force: true })
    },
  }
}

/** What any pod has made: the last one of those that share it removes it. */
function notedIn(directory: string): ReadonlySet<string> {
  const names = existsSync(directory) ? readdirSync(directory) : []
  return new Set(names.flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n')))
}

/** Innermost first; none of a cgroup that is the root in whatever form (`/`, `//`, `/.`). */
export function withParents(mount: string, cgroup: string): string[] {
  const paths: string[] = []
  const innermost = join(mount, posix.resolve('/', cgroup))
  for (let path = innermost; path.startsWith(`${mount}/`) && path !== `${mount}/`; path = dirname(path))
    paths.push(path)
  return paths
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Another pod is in it, or it is gone.
  }
}

import { posix } from 'node:path'
import { invalidArgument } from '#lib/errors.ts'
import type { HostFacts } from '../ports.ts'

const SYSTEMD_PREFIX = 'cri-ts'
/** systemd.slice(5): words joined by single dashes; no colon, which parts the fields of an OCI runtime's path. */
const SLICE = /^[\w.\\]+(?:-[\w.\\]+)*\.slice$/

/**
 * `linux.cgroupsPath` of a container in the pod's cgroup: a path with the cgroupfs driver, and
 * `slice:prefix:name` with systemd's, which makes the scope `cri-ts-ID.scope`.
 * `parent` is as kubelet gives it, '' where the pod has none. Throws invalid-argument when it is of the other driver.
 */
export function cgroupsPath(parent: string, containerId: string, driver: HostFacts['cgroupDriver']): string {
  return driver === 'systemd'
    ? `${sliceOf(parent)}:${SYSTEMD_PREFIX}:${containerId}`
    : posix.join(directoryOf(parent), containerId)
}

/** kubelet sends the slices' whole path; the last one names the others. */
function sliceOf(parent: string): string {
  if (parent === '') return 'system.slice'
  const slice = posix.basename(parent)
  if (SLICE.test(slice) && slice.length <= 255) return slice
  throw invalidArgument(
    `cgroup_parent ${parent} is not a systemd slice (like kubepods-pod1.slice), but the cgroup driver is systemd: ` +
      `set kubelet's and the daemon's cgroup_driver to the same`,
  )
}

function directoryOf(parent: string): string {
  if (parent === '') return '/cri-ts'
  if (parent.endsWith('.slice')) {
    throw invalidArgument(
      `cgroup_parent ${parent} is a systemd slice, but the cgroup driver is cgroupfs: ` +
        `set kubelet's and the daemon's cgroup_driver to the same`,
    )
  }
  if (parent.split('/').includes('..')) {
    throw invalidArgument(`cgroup_parent ${parent} leads upwards: give a path without ..`)
  }
  return posix.resolve('/', parent)
}

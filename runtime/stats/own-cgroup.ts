import { posix } from 'node:path'
import type { SandboxRecord } from '../pod-sandbox/record.ts'

/** Where the containers of pods without a cgroup parent lie, and slices that hold the host's services. */
const SHARED = ['', '/cri-ts', '/', '-.slice', 'system.slice', 'user.slice', 'machine.slice']

/**
 * Whether what the pod's cgroup parent counts is this pod's alone, as it is where kubelet makes one for each pod.
 * crictl and others put many pods into one.
 */
export function ownsCgroup({ id, spec }: SandboxRecord, sandboxes: readonly SandboxRecord[]): boolean {
  const parent = nameOf(spec.cgroupParent)
  return (
    !SHARED.includes(parent) &&
    !sandboxes.some(
      (other) =>
        other.id !== id &&
        other.state.phase !== 'stopped' &&
        isWithin(nameOf(other.spec.cgroupParent), parent),
    )
  )
}

/** Slices are named by their last part, which tells the others. */
const nameOf = (parent: string): string =>
  parent.endsWith('.slice') ? posix.basename(parent) : parent === '' ? '' : posix.resolve('/', parent)

function isWithin(name: string, outer: string): boolean {
  if (name === outer) return true
  return outer.endsWith('.slice')
    ? name.startsWith(outer.replace(/\.slice$/, '-'))
    : name.startsWith(`${outer}/`)
}

import { closeSync, constants, type Dir, opendirSync, openSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { SystemError } from './libc.ts'
import { hasNoLabels, selinuxLabelOf, setSelinuxLabel } from './selinux-label.ts'

/** Each level is a file descriptor of the daemon's. */
const MAX_DEPTH = 1024

/**
 * Labels a file, or a directory with all below it, also in what is mounted there. The directory itself is last, so that
 * one with the label has been through. What has the label is not written to; what cannot have one stays as it is.
 * It ends at the next file once it is given up. Who writes to the tree meanwhile can't lead out of it: directories are held open, and no link is followed.
 */
export function relabelTree(path: string, label: string, isGivenUp: () => boolean = () => false): void {
  const root = Buffer.from(path)
  if (takesLabels(root)) relabel(root, { label, isGivenUp, shown: path, depth: 0 })
}

interface Step {
  readonly label: string
  readonly isGivenUp: () => boolean
  /** The path as a person reads it. */
  readonly shown: string
  readonly depth: number
}

function relabel(path: Buffer, step: Step): void {
  const fd = openDirectory(path, step)
  if (fd === undefined) {
    setWhereWrong(path, step)
    return
  }
  try {
    const own = Buffer.from(`/proc/self/fd/${fd}/.`)
    relabelEntries(own, step)
    setWhereWrong(own, step)
  } finally {
    closeSync(fd)
  }
}

function relabelEntries(directory: Buffer, parent: Step): void {
  const entries = openEntries(directory)
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      const name = entry.name as unknown as Buffer
      const path = Buffer.concat([directory.subarray(0, -1), name])
      const step = { ...parent, shown: `${parent.shown}/${name}`, depth: parent.depth + 1 }
      if (step.isGivenUp()) throw new CriError('cancelled', `labelling was given up at ${step.shown}`)
      if (entry.isDirectory()) relabel(path, step)
      else setWhereWrong(path, step)
    }
  } finally {
    entries.closeSync()
  }
}

/** Names as bytes, which need not be UTF-8: Node's types do not know of that. */
const openEntries = (path: Buffer): Dir =>
  opendirSync(path, { encoding: 'buffer' as BufferEncoding, bufferSize: 512 })

/** Undefined where it is none, or none any more. */
function openDirectory(path: Buffer, { shown, depth }: Step): number | undefined {
  if (depth > MAX_DEPTH)
    throw new CriError('failed-precondition', `${shown} lies deeper than ${MAX_DEPTH} directories`)
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    if (['ENOTDIR', 'ELOOP', 'ENOENT'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

function setWhereWrong(path: Buffer, { label, shown }: Step): void {
  try {
    if (selinuxLabelOf(path) !== label) setSelinuxLabel(path, label)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    if (error.code === 'ENOENT' || hasNoLabels(error)) return
    const remedy = 'make it writable, label it by hand, or leave selinux_relabel out'
    throw new CriError(
      'failed-precondition',
      `${shown} can't have the SELinux label ${label}: ${error.code}: ${remedy}`,
      { cause: error },
    )
  }
}

/** Whether one can be set: that of a mount with one label for all can be read only. */
function takesLabels(path: Buffer): boolean {
  const label = selinuxLabelOf(path)
  if (label === undefined) return true
  try {
    setSelinuxLabel(path, label)
    return true
  } catch (error) {
    return !(error instanceof SystemError && hasNoLabels(error))
  }
}

import { constants, symlinkSync } from 'node:fs'
import { makedev } from '#linux/libc.ts'
import { makeNode } from '#linux/overlay-files.ts'
import { fsPath } from './layer-tree.ts'
import type { TarEntry } from './tar-entry.ts'

const { S_IFCHR, S_IFBLK, S_IFIFO } = constants

/** Makes a link, a device or a pipe; its path in latin1. */
export function makeSpecial(absolute: string, { type, linkName, major, minor }: TarEntry): void {
  if (type === 'symbolic-link') symlinkSync(fsPath(linkName), fsPath(absolute))
  else if (type === 'character-device') makeNode(absolute, S_IFCHR, makedev(major, minor))
  else if (type === 'block-device') makeNode(absolute, S_IFBLK, makedev(major, minor))
  else makeNode(absolute, S_IFIFO, 0)
}

export const isWhiteoutEntry = ({ type, major, minor }: TarEntry): boolean =>
  type === 'character-device' && major === 0 && minor === 0

import { invalidArgument } from '#lib/errors.ts'
import type { Moment } from '#linux/overlay-files.ts'
import type { TarHeader } from './tar-header.ts'
import type { Sparse } from './tar-sparse.ts'

export type TarEntryType =
  | 'file'
  | 'directory'
  | 'hard-link'
  | 'symbolic-link'
  | 'character-device'
  | 'block-device'
  | 'fifo'

/** One file of a tar with what PAX and GNU headers say of it. Text is bytes in latin1. */
export interface TarEntry {
  readonly name: string
  readonly type: TarEntryType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the data that follows; 0 of all but files. */
  readonly sizeBytes: number
  /** Of a file with holes. */
  readonly sparse?: Sparse
  readonly mtime: Moment
  readonly linkName: string
  readonly major: number
  readonly minor: number
  readonly xattrs: ReadonlyMap<string, Buffer>
}

const PAX_XATTR = 'SCHILY.xattr.'
const typeOfFlag: { readonly [flag: string]: TarEntryType | undefined } = {
  '0': 'file',
  '1': 'hard-link',
  '2': 'symbolic-link',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  S: 'file',
}

/** What PAX, GNU's long names and the header itself say together, the first of them first. Throws invalid-argument. */
export function entryOf(
  header: TarHeader,
  pax: ReadonlyMap<string, Buffer>,
  longName: string | undefined,
  longLinkName: string | undefined,
): TarEntry {
  const name = paxText(pax, 'GNU.sparse.name') ?? paxText(pax, 'path') ?? longName ?? header.name
  const type = typeOf(header, name)
  return {
    name,
    type,
    mode: header.mode,
    uid: paxNumber(pax, 'uid') ?? header.uid,
    gid: paxNumber(pax, 'gid') ?? header.gid,
    sizeBytes: type === 'file' ? sizeOf(header, name, pax) : 0,
    mtime: paxTime(pax) ?? { seconds: header.mtimeSeconds, nanoseconds: 0 },
    linkName: paxText(pax, 'linkpath') ?? longLinkName ?? header.linkName,
    major: header.major,
    minor: header.minor,
    xattrs: xattrsOf(pax),
  }
}

function typeOf(header: TarHeader, name: string): TarEntryType {
  // Version 7 had no type for a directory.
  const type = header.flag === '0' && name.endsWith('/') ? 'directory' : typeOfFlag[header.flag]
  if (type === undefined) throw invalidArgument(`${shown(name)} is of the unknown tar type "${header.flag}"`)
  return type
}

function sizeOf(header: TarHeader, name: string, pax: ReadonlyMap<string, Buffer>): number {
  const sizeBytes = paxNumber(pax, 'size') ?? header.sizeBytes
  if (sizeBytes < 0) throw invalidArgument(`${shown(name)} has a negative size in the tar`)
  return sizeBytes
}

const noXattrs: ReadonlyMap<string, Buffer> = new Map()

function xattrsOf(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  const named = [...pax].filter(([key]) => key.startsWith(PAX_XATTR))
  return named.length === 0
    ? noXattrs
    : new Map(named.map(([key, value]) => [key.slice(PAX_XATTR.length), value]))
}

/** An empty value takes the header's back. */
function paxText(pax: ReadonlyMap<string, Buffer>, key: string): string | undefined {
  const value = pax.get(key)
  return value === undefined || value.length === 0 ? undefined : value.toString('latin1')
}

function paxNumber(pax: ReadonlyMap<string, Buffer>, key: string): number | undefined {
  const digits = paxText(pax, key)
  if (digits === undefined) return undefined
  const value = Number(digits)
  if (!/^[0-9]+$/.test(digits) || !Number.isSafeInteger(value)) {
    throw invalidArgument(`broken PAX header in the tar: ${key}=${digits}`)
  }
  return value
}

/** Seconds with a fraction, perhaps negative: `-1.5` is half a second before second -1. */
function paxTime(pax: ReadonlyMap<string, Buffer>): Moment | undefined {
  const written = paxText(pax, 'mtime')
  if (written === undefined) return undefined
  const parts = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(written)
  if (parts === null) throw invalidArgument(`broken PAX header in the tar: mtime=${written}`)
  const [, sign, whole = '', fraction = ''] = parts
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (sign === '') return { seconds: Number(whole), nanoseconds }
  return nanoseconds === 0
    ? { seconds: 0 - Number(whole), nanoseconds: 0 }
    : { seconds: -1 - Number(whole), nanoseconds: 1e9 - nanoseconds }
}

const shown = (name: string): string => JSON.stringify(Buffer.from(name, 'latin1').toString().slice(0, 200))

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Machine {
  /** EI_CLASS: 1 is 32 bits, 2 is 64. */
  readonly elfClass: number
  /** EI_DATA: 1 is little-endian, 2 big-endian. */
  readonly data: number
  /** e_machine of elf(5). */
  readonly machine: number
}

/** By Go's name of the architecture. */
const machines: { readonly [architecture: string]: Machine } = {
  '386': { elfClass: 1, data: 1, machine: 3 },
  amd64: { elfClass: 2, data: 1, machine: 62 },
  arm: { elfClass: 1, data: 1, machine: 40 },
  arm64: { elfClass: 2, data: 1, machine: 183 },
  loong64: { elfClass: 2, data: 1, machine: 258 },
  mips64le: { elfClass: 2, data: 1, machine: 8 },
  ppc64le: { elfClass: 2, data: 1, machine: 21 },
  riscv64: { elfClass: 2, data: 1, machine: 243 },
  s390x: { elfClass: 2, data: 2, machine: 22 },
}

/** What a kernel runs without help; process.arch names it. */
const native: { readonly [nodeArchitecture: string]: readonly string[] } = {
  x64: ['amd64', '386'],
  arm64: ['arm64', 'arm'],
  ppc64: ['ppc64le'],
}

const BINFMT_MISC = '/proc/sys/fs/binfmt_misc'

/** Why containers of that architecture cannot be run here, and the remedy; undefined where they can, or nobody knows. */
export function emulatorProblem(
  architecture: string,
  directory: string = BINFMT_MISC,
  hostArchitecture: string = process.arch,
): string | undefined {
  const machine = machines[architecture]
  const own = native[hostArchitecture] ?? [hostArchitecture]
  if (machine === undefined || own.includes(architecture)) return undefined
  const emulator = rulesIn(directory).find(({ matches }) => matches(headerOf(machine)))
  if (emulator === undefined) {
    return `no emulator of ${architecture} is registered in ${directory}: install one, as qemu-user-static`
  }
  if (emulator.flags.includes('F')) return undefined
  return `${emulator.interpreter}, the emulator of ${architecture}, is registered without the flag F: containers don't have that file`
}

interface Rule {
  readonly interpreter: string
  readonly flags: string
  matches(header: Buffer): boolean
}

/** Those that are in force, as binfmt_misc shows each in a file; none where it is not mounted. */
function rulesIn(directory: string): readonly Rule[] {
  try {
    const names = readdirSync(directory).filter((name) => name !== 'register' && name !== 'status')
    if (!readFileSync(join(directory, 'status'), 'utf8').startsWith('enabled')) return []
    return names.flatMap((name) => ruleOf(readFileSync(join(directory, name), 'utf8')))
  } catch {
    return []
  }
}

function ruleOf(text: string): Rule[] {
  const value = (key: string): string => new RegExp(`^${key}:? (.*)$`, 'm').exec(text)?.[1] ?? ''
  if (!text.startsWith('enabled') || value('magic') === '') return []
  const magic = Buffer.from(value('magic'), 'hex')
  const mask = Buffer.from(value('mask') || 'ff'.repeat(magic.length), 'hex')
  const offset = Number(value('offset'))
  const matches = (header: Buffer): boolean =>
    magic.every((byte, index) => {
      const bits = mask[index] ?? 0
      return (byte & bits) === ((header[offset + index] ?? 0) & bits)
    })
  return [{ interpreter: value('interpreter'), flags: value('flags'), matches }]
}

/** How a program for it begins. */
function headerOf({ elfClass, data, machine }: Machine): Buffer {
  const header = Buffer.alloc(128)
  header.set([0x7f, 0x45, 0x4c, 0x46, elfClass, data, 1])
  const put = (value: number, at: number) =>
    data === 1 ? header.writeUInt16LE(value, at) : header.writeUInt16BE(value, at)
  put(2, 16) // e_type: an executable
  put(machine, 18)
  return header
}

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { giveBack } from '#lib/give-back.ts'
import { giveFreedMemoryBack } from './freed-memory.ts'

const MIB = 1 << 20
const PIECE_BYTES = 64 << 10

test('what was freed below something in use is the kernel’s again', () => {
  const pieces = Array.from({ length: (64 * MIB) / PIECE_BYTES }, () => new Uint8Array(PIECE_BYTES).fill(1))
  const full = residentMib()
  for (const piece of pieces.slice(0, -1)) giveBack(piece)
  giveFreedMemoryBack()
  expect(full - residentMib()).toBeGreaterThan(40)
  expect(pieces.at(-1)?.[0]).toBe(1)
})

function residentMib(): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return Number(kib) / 1024
}

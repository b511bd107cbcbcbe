import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { emulatorProblem } from './emulators.ts'

/** As binfmt_misc shows it. */
const rule = (flags: string, state = 'enabled') => `${state}
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: ${flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`

function binfmtMisc(rules: { [name: string]: string }, status = 'enabled'): string {
  const directory = mkdtempSync(join(tmpdir(), 'binfmt-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries({ register: '', status: `${status}\n`, ...rules })) {
    writeFileSync(join(directory, name), text)
  }
  return directory
}

test('an architecture of the host itself needs no emulator', () => {
  const directory = binfmtMisc({})
  for (const architecture of ['amd64', '386']) {
    expect(emulatorProblem(architecture, directory, 'x64')).toBeUndefined()
  }
  expect(emulatorProblem('arm64', directory, 'arm64')).toBeUndefined()
})

test('another one needs an emulator that the kernel knows', () => {
  expect(emulatorProblem('arm64', binfmtMisc({ 'qemu-aarch64': rule('POCF') }), 'x64')).toBeUndefined()
  for (const directory of [
    binfmtMisc({}),
    binfmtMisc({ 'qemu-aarch64': rule('POCF', 'disabled') }),
    binfmtMisc({ 'qemu-aarch64': rule('POCF') }, 'disabled'),
    '/nonexistent',
  ]) {
    expect(emulatorProblem('arm64', directory, 'x64')).toBe(
      `no emulator of arm64 is registered in ${directory}: install one, as qemu-user-static`,
    )
  }
})

test('the emulator of another architecture is none', () => {
  const directory = binfmtMisc({ 'qemu-aarch64': rule('POCF'), script: 'enabled\nextension .x\n' })
  expect(emulatorProblem('s390x', directory, 'x64')).toContain('no emulator of s390x')
  expect(emulatorProblem('riscv64', directory, 'x64')).toContain('no emulator of riscv64')
})

test('one without the flag F is told: the container does not have its file', () => {
  expect(emulatorProblem('arm64', binfmtMisc({ a: rule('PO') }), 'x64')).toBe(
    "/usr/libexec/qemu-binfmt/aarch64-binfmt-P, the emulator of arm64, is registered without the flag F: containers don't have that file",
  )
})

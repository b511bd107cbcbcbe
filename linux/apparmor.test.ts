import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { createAppArmor } from './apparmor.ts'
import { ownAppArmorProfile } from './apparmor-profile.ts'
import type { Command } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'cri-ts-apparmor-'))
afterAll(() => rmSync(directory, { recursive: true }))
const profilesFile = join(directory, 'profiles')
const enabledFile = join(directory, 'enabled')

beforeEach(() => {
  writeFileSync(enabledFile, 'Y\n')
  writeFileSync(profilesFile, 'docker-default (enforce)\nsnap.app name (complain)\nflat (unconfined)\n')
})

/** A parser that loads, or says what it does not like. */
function lab({ complaint = '', hasParser = true, isWanted = true } = {}) {
  const commands: Command[] = []
  const apparmor = createAppArmor({
    ...{
      isWanted,
      profilesFile,
      enabledFile,
      findParser: () => (hasParser ? '/sbin/apparmor_parser' : undefined),
    },
    run: async (command) => {
      commands.push(command)
      if (complaint !== '') return { exitCode: 1, stdout: Buffer.alloc(0), stderr: complaint }
      writeFileSync(profilesFile, 'cri-ts-default (enforce)\n')
      return { exitCode: 0, stdout: Buffer.alloc(0), stderr: '' }
    },
  })
  return { apparmor, commands }
}

describe('AppArmor', () => {
  test('is enabled where the kernel says so, securityfs shows it and the configuration does not forbid it', () => {
    expect(lab().apparmor.enabled).toBe(true)
    expect(lab({ isWanted: false }).apparmor.enabled).toBe(false)
    rmSync(profilesFile)
    expect(lab().apparmor.enabled).toBe(false)
    writeFileSync(profilesFile, '')
    writeFileSync(enabledFile, 'N\n')
    expect(lab().apparmor.enabled).toBe(false)
    rmSync(enabledFile)
    expect(lab().apparmor.enabled).toBe(false)
  })

  test('a profile is loaded if its whole name is, in any mode', async () => {
    const { apparmor } = lab()
    const loaded = async (...names: readonly string[]) =>
      Promise.all(names.map((name) => apparmor.isLoaded(name)))
    expect(await loaded('docker-default', 'snap.app name', 'flat')).toEqual([true, true, true])
    expect(await loaded('docker', 'docker-default ', '', 'enforce')).toEqual([false, false, false, false])
  })

  test('the default profile is loaded once, whoever asks and whatever was there, and again when it is gone', async () => {
    const { apparmor, commands } = lab()
    writeFileSync(profilesFile, 'cri-ts-default (enforce)\n')
    expect(await Promise.all([apparmor.loadDefault(), apparmor.loadDefault()])).toEqual([
      'cri-ts-default',
      'cri-ts-default',
    ])
    await apparmor.loadDefault()
    expect(commands).toHaveLength(1)
    expect(commands[0]?.argv).toEqual(['/sbin/apparmor_parser', '--replace', '--skip-cache'])
    expect(commands[0]?.stdin).toContain('profile cri-ts-default flags=')
    writeFileSync(profilesFile, '')
    await apparmor.loadDefault()
    expect(commands).toHaveLength(2)
  })

  test('a profile that the parser does not take is told in its words, and tried again', async () => {
    const { apparmor, commands } = lab({ complaint: 'syntax error' })
    const message =
      "AppArmor profile cri-ts-default can't be loaded: /sbin/apparmor_parser says: syntax error"
    for (const _ of [1, 2])
      await expect(apparmor.loadDefault()).rejects.toMatchObject({ kind: 'failed-precondition', message })
    expect(commands).toHaveLength(2)
  })

  test('without a parser there is a default profile only where somebody has loaded it', async () => {
    const { apparmor } = lab({ hasParser: false })
    expect(await apparmor.loadDefault()).toBeUndefined()
    writeFileSync(profilesFile, 'cri-ts-default (enforce)\n')
    expect(await apparmor.loadDefault()).toBe('cri-ts-default')
  })
})

describe("the default profile's text", () => {
  test('includes what the host has', () => {
    const text = ownAppArmorProfile({ has: () => true, daemonProfile: 'unconfined' })
    expect(text).toMatch(/^abi <abi\/3\.0>,\n#include <tunables\/global>\nprofile cri-ts-default /)
    expect(text).toContain('  #include <abstractions/base>\n')
    expect(text.match(/peer=unconfined/g)).toHaveLength(1)
  })

  test('does without, and takes signals of a daemon that is confined itself', () => {
    const text = ownAppArmorProfile({ has: () => false, daemonProfile: 'cri-ts' })
    expect(text).toMatch(/^@\{PROC\}=\/proc\/\nprofile /)
    expect(text).not.toContain('include')
    expect(text).toContain('  signal (receive) peer=cri-ts,\n')
  })
})

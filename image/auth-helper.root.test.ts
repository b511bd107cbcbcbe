import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { type AskHelper, credentialHelpers } from './auth-helper.ts'

const never = new AbortController().signal
let directory = ''
let watcher: ProcessWatcher
let ask: AskHelper
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-helper-'))
  watcher = new ProcessWatcher()
  ask = credentialHelpers({ run: (command) => runCommand(watcher, command), path: directory })
})
afterAll(async () => {
  await watcher[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

function helper(name: string, script: string): void {
  const file = join(directory, `docker-credential-${name}`)
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
}

test('a helper is told `get` and the server, and has the environment of the daemon', async () => {
  helper(
    'echo',
    `read -r server; printf '{"ServerURL":"%s","Username":"%s","Secret":"%s"}' "$server" "$1 $server" "$HOME"`,
  )
  expect(await ask('echo', 'r.x:5000', never)).toEqual({
    kind: 'basic',
    username: 'get r.x:5000',
    password: process.env['HOME'],
  })
})

test('<token> is the name of an identity token', async () => {
  helper('token', `printf '{"Username":"<token>","Secret":"refresh"}'`)
  expect(await ask('token', 'r.x', never)).toEqual({ kind: 'identity-token', token: 'refresh' })
})

test('one that has no credentials for the server is no failure', async () => {
  helper('none', 'echo "credentials not found in native keychain"; exit 1')
  expect(await ask('none', 'r.x', never)).toBeUndefined()
})

test.for([
  ['fails', 'echo the keychain is locked >&2; exit 3', 'it failed with 3: the keychain is locked'],
  ['tells', 'echo \'{"Username":"u","Secret":"s3cret"}\'; exit 1', 'it failed with 1'],
  ['garbage', 'echo s3cret', 'its answer is no {"Username", "Secret"}'],
  ['endless', 'exec yes s3cret', 'was killed'],
] as const)('one that %s is named, and nothing secret is shown', async ([name, script, why]) => {
  helper(name, script)
  const failure = ask(name, 'r.x', never)
  await expect(failure).rejects.toMatchObject({
    kind: 'unauthenticated',
    message: expect.stringContaining(`docker-credential-${name} for r.x: `),
  })
  await expect(failure).rejects.toThrow(why)
  await expect(failure).rejects.not.toThrow('s3cret')
})

test('one that is not installed is named', async () => {
  await expect(ask('absent', 'r.x', never)).rejects.toThrow(
    'docker-credential-absent for r.x: it is not in PATH',
  )
})

test('one that hangs ends with the pull that asked it', async () => {
  helper('hang', `echo $$ >${directory}/pid; exec sleep 1000`)
  const pull = new AbortController()
  const answer = ask('hang', 'r.x', pull.signal)
  await vi.waitFor(() => expect(readFileSync(join(directory, 'pid'), 'utf8')).toMatch(/\n/))
  pull.abort()
  await expect(answer).rejects.toMatchObject({ kind: 'cancelled' })
  const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

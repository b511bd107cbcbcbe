import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { imageVerifiers } from './verifier-programs.ts'

const watcher = new ProcessWatcher()
afterAll(() => watcher[Symbol.asyncDispose]())

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-verifiers-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const name = 'registry.example/app:v1'
const descriptor = {
  mediaType: 'application/vnd.oci.image.index.v1+json',
  digest: `sha256:${'1'.repeat(64)}`,
  size: 7,
}
const log = { debug() {}, info() {}, warn() {}, error() {} }

function program(file: string, script: string, mode = 0o755): void {
  writeFileSync(join(directory, file), `#!/bin/sh\n${script}\n`)
  chmodSync(join(directory, file), mode)
}
const verify = (options: object = {}, signal = new AbortController().signal): Promise<void> =>
  imageVerifiers({
    ...{ directory, timeoutMs: 10_000, most: 10, log },
    run: (command) => runCommand(watcher, command),
    ...options,
  }).verify(name, descriptor, signal)
const refused = (message: RegExp) => ({
  kind: 'unverified',
  message: expect.stringMatching(message) as string,
})

test('each program is told of the image as containerd tells it, in the order of their names', async () => {
  const say = `printf '%s\\n' "$0" "$@" >> ${directory}.seen; cat >> ${directory}.seen`
  program('20-second', say)
  program('10-first', say)
  try {
    await verify()
    const told = (file: string) => [
      join(directory, file),
      ...['-name', name, '-digest', descriptor.digest],
      ...['-stdin-media-type', 'application/vnd.oci.descriptor.v1+json', JSON.stringify(descriptor)],
    ]
    expect(readFileSync(`${directory}.seen`, 'utf8').trim().split('\n')).toEqual([
      ...told('10-first'),
      ...told('20-second'),
    ])
  } finally {
    rmSync(`${directory}.seen`, { force: true })
  }
})

test('the first that refuses ends it, and its reason is told', async () => {
  program('a', 'exit 0')
  program('b', 'echo "not on the list"; echo noise >&2; exit 3')
  program('c', `touch ${directory}/asked`)
  await expect(verify()).rejects.toMatchObject(
    refused(
      /^SignatureValidationFailed: image verifier .*\/b refused registry.example\/app:v1@sha256:1+ \(exit code 3\): not on the list$/,
    ),
  )
})

test.for<[why: string, script: string, options: object, message: RegExp]>([
  ['that says nothing', 'exit 1', {}, /\(exit code 1\): it gave no reason/],
  ['that is killed', 'kill -9 $$', {}, /signal 9/],
  [
    'that takes too long',
    'sleep 600',
    { timeoutMs: 100 },
    /gave no answer: .* did not end within 0.1 s and was killed/,
  ],
  ['that takes too long with a child', 'sleep 600 & wait', { timeoutMs: 100 }, /did not end within 0.1 s/],
  ['that writes without end', 'exec yes', {}, /gave no answer: .* wrote without end and was killed/],
  ['that writes control characters', "printf 'a\\033[31mb\\nc'; exit 1", {}, /: a \[31mb c$/],
])('a program %s refuses the image', async ([, script, options, message]) => {
  program('v', script)
  await expect(verify(options)).rejects.toMatchObject(refused(message))
})

test('a program that cannot be run refuses the image, and so does a directory that is not there', async () => {
  program('v', 'exit 0', 0o644)
  await expect(verify()).rejects.toMatchObject(refused(/\/v cannot be run: make it executable/))
  await expect(verify({ directory: '/nonexistent' })).rejects.toMatchObject(
    refused(/in \/nonexistent \(image.verifiers_dir\) cannot be listed: ENOENT/),
  )
  writeFileSync(join(directory, 'v'), 'no program')
  chmodSync(join(directory, 'v'), 0o755)
  await expect(verify()).rejects.toMatchObject(refused(/image verifier .*\/v/))
})

test('with more programs than may be there every image is refused; with none, none is', async () => {
  await verify({ most: 0 })
  for (const file of ['a', 'b']) program(file, 'exit 0')
  await verify({ most: 2 })
  await expect(verify({ most: 1 })).rejects.toMatchObject(refused(/holds 2 image verifiers, 1 at most/))
})

test('one that hangs ends with the pull that asked it', async () => {
  const file = `${directory}.pid`
  program('hang', `echo $$ >${file}; exec sleep 1000`)
  const pull = new AbortController()
  try {
    const answer = verify({}, pull.signal)
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toMatch(/\n/))
    pull.abort()
    await expect(answer).rejects.toMatchObject({ kind: 'cancelled' })
    expect(() => process.kill(Number(readFileSync(file, 'utf8')), 0)).toThrow('ESRCH')
  } finally {
    rmSync(file, { force: true })
  }
})

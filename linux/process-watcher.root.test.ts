import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Command, runCommand } from './command.ts'
import { isAlive, processOf } from './proc.ts'
import { ProcessWatcher } from './process-watcher.ts'

let watcher: ProcessWatcher
beforeAll(() => {
  watcher = new ProcessWatcher()
})
afterAll(() => watcher[Symbol.asyncDispose]())

const shell = (script: string, more: Partial<Command> = {}) =>
  runCommand(watcher, { argv: ['/bin/sh', '-c', script], timeoutMs: 20_000, ...more })
const openFds = (): number => readdirSync('/proc/self/fd').length

describe('a command', () => {
  test('ends with its exit code and what it wrote', async () => {
    const finished = await shell('echo out; echo " err " >&2; exit 3')
    expect(finished).toEqual({ exitCode: 3, stdout: Buffer.from('out\n'), stderr: 'err' })
  })

  test('that a signal killed has 128 and its number', async () => {
    expect(await shell('kill -TERM $$')).toMatchObject({ exitCode: 143, signal: 15 })
  })

  test('reads what it is given, and nothing where it is given nothing', async () => {
    const input = 'x'.repeat(300_000)
    expect((await shell('cat', { stdin: input })).stdout.toString()).toBe(input)
    expect((await shell('cat')).stdout.toString()).toBe('')
  })

  test('has the environment, directory and signals it is given', async () => {
    const { stdout } = await shell('echo $A; pwd; grep -E "Sig(Blk|Ign)" /proc/self/status', {
      env: { A: 'b' },
      cwd: '/usr',
    })
    // 32 and 33 are glibc's own: whoever ignores them passes that on.
    expect(`${stdout}`).toMatch(/^b\n\/usr\nSigBlk:\t0{16}\nSigIgn:\t0{7}[01][08]0{7}\n$/)
  })

  test('inherits no file of ours', async () => {
    const script = 'for fd in $(seq 3 200); do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done'
    expect(`${(await shell(script)).stdout}`).toBe('')
  })

  test('that takes too long is killed with all its process group', async () => {
    const run = shell('echo begun >&2; sleep 600 & echo $! >&2; wait', { timeoutMs: 300 })
    const error = await run.catch((failure: unknown) => failure)
    expect(error).toMatchObject({ kind: 'deadline-exceeded' })
    const [, child] = /begun\n(\d+)$/.exec((error as Error).message) ?? []
    await expect.poll(() => processOf(Number(child))).toBeUndefined()
  })

  test('whose child keeps its output open is over when it itself has ended', async () => {
    const { stdout } = await shell('sleep 600 & echo $!')
    const child = processOf(Number(`${stdout}`))
    expect(child !== undefined && isAlive(child)).toBe(true)
    process.kill(Number(`${stdout}`), 'SIGKILL')
  })

  test('that is not there is told of by its path', async () => {
    const run = runCommand(watcher, { argv: ['/no/such/program'], timeoutMs: 1_000 })
    await expect(run).rejects.toThrow(/\/no\/such\/program: ENOENT/)
  })
})

test('many at once have each their own end, and leave no open file and no zombie', async () => {
  await shell('true')
  const before = openFds()
  const codes = Array.from({ length: 150 }, (_, index) => index)
  const finished = await Promise.all(codes.map((code) => shell(`echo ${code}; exit ${code}`)))
  expect(finished.map(({ exitCode }) => exitCode)).toEqual(codes)
  expect(finished.map(({ stdout }) => Number(`${stdout}`))).toEqual(codes)
  for (let fails = 0; fails < 20; fails += 1) {
    await runCommand(watcher, { argv: ['/no/such'], timeoutMs: 1_000 }).catch(() => undefined)
  }
  await expect.poll(openFds).toBeLessThanOrEqual(before)
  const { stdout } = await shell(`grep -l "^PPid:.${process.pid}$" /proc/[0-9]*/status | wc -l`)
  expect(Number(`${stdout}`)).toBe(1)
})

test('the end of a process that is not our child is seen, without its code', async () => {
  const { stdout } = await shell('setsid sleep 600 >/dev/null 2>&1 & echo $!')
  const pid = Number(`${stdout}`)
  const ended = watcher.ended(pid)
  process.kill(pid, 'SIGKILL')
  expect(await ended).toBeUndefined()
  expect(await watcher.ended(pid)).toBeUndefined()
})

test('a watcher that is disposed of leaves no open file, also of what it waited for', async () => {
  const before = openFds()
  const { stdout } = await shell('setsid sleep 600 >/dev/null 2>&1 & echo $!')
  {
    await using other = new ProcessWatcher()
    void other.ended(Number(`${stdout}`))
  }
  process.kill(Number(`${stdout}`), 'SIGKILL')
  await expect.poll(openFds).toBeLessThanOrEqual(before)
})

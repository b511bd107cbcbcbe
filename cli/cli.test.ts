import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Config } from '#config/config.ts'
import { CriError } from '#lib/errors.ts'
import { cli } from './cli.ts'

/** Runs a command line, and answers what it wrote and how it ended. */
async function run(args: readonly string[], serve: (config: Config) => Promise<void> = async () => {}) {
  let [out, err] = ['', '']
  const code = await cli(args, {
    version: '1.2.3',
    out: (text) => (out += text),
    err: (text) => (err += text),
    environment: {},
    serve,
  })
  return { code, out, err }
}

function configFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'config.toml'), text)
  return join(directory, 'config.toml')
}

describe('usage', () => {
  test.for<[args: string[], code: number, written: string]>([
    [['version'], 0, `cri-ts 1.2.3 (node ${process.version})\n`],
    [['--version'], 0, 'cri-ts 1.2.3\n'],
    [['--help'], 0, 'Usage: cri-ts'],
    [['help'], 0, 'Usage: cri-ts'],
    [['help', 'store'], 0, 'Usage: cri-ts store'],
    [['images', 'import', '--help'], 0, '--state <dir>'],
    [[], 2, 'Usage: cri-ts'],
    [['config'], 2, 'Usage: cri-ts config'],
    [['srve'], 2, "unknown command 'srve'\n(Did you mean serve?)"],
    [['config', 'vaildate'], 2, "unknown command 'vaildate'\n(Did you mean validate?)"],
    [['--lisen', '/x', 'serve'], 2, "unknown option '--lisen'\n(Did you mean --listen?)"],
    [['serve', '--stat', '/x'], 2, "unknown option '--stat'\n(Did you mean --state?)"],
    [['images', 'import'], 2, "missing required argument 'file'"],
    [['images', 'import', 'a', '--nam', 'b'], 2, "unknown option '--nam'\n(Did you mean --name?)"],
    [['images', 'pull', 'a', '--creds', 'u:p'], 2, "unknown option '--creds'"],
    [
      ['images', 'export', 'a'],
      2,
      "option '-o, --output <file>' not specified\n(--help after a command says what",
    ],
    [['version', 'more'], 2, 'too many arguments'],
    [['serve', '--root'], 2, "option '--root <dir>' argument missing"],
  ])('%o ends with %d', async ([args, code, written]) => {
    const result = await run(args)
    expect(result.code).toBe(code)
    expect(code === 0 ? result.out : result.err).toContain(written)
    expect(code === 0 ? result.err : result.out).toBe('')
  })
})

describe('serve', () => {
  test('runs the daemon with the file and with flags on either side of the command', async () => {
    const file = configFile('root = "/r"\nstate = "/s"\nlog_level = "warn"\n')
    const served: Config[] = []
    const args = ['--config', file, '--state', '/x', 'serve', '--listen', '/l.sock', '--log-level', 'debug']
    expect(await run(args, async (config) => void served.push(config))).toMatchObject({ code: 0, err: '' })
    expect(served).toMatchObject([{ root: '/r', state: '/x', listen: '/l.sock', logLevel: 'debug' }])
  })

  test('never starts with a wrong configuration', async () => {
    const file = configFile('rot = "/r"\n')
    const result = await run(['serve', '--config', file], () => Promise.reject(new Error('it started')))
    expect(result).toEqual({
      code: 1,
      out: '',
      err: `cri-ts: ${file}:1: unknown key rot: did you mean root?\n`,
    })
  })

  test('a failure that was foreseen is told by its message, a bug with its stack', async () => {
    const args = ['serve', '--config', configFile('')]
    const foreseen = new CriError('failed-precondition', 'no lock', { cause: new Error('held') })
    expect(await run(args, () => Promise.reject(foreseen))).toMatchObject({
      code: 1,
      err: 'cri-ts: no lock: held\n',
    })
    const { err } = await run(args, () => Promise.reject(new TypeError('x is undefined')))
    expect(err).toMatch(/cri-ts: x is undefined\nTypeError: x is undefined\n +at /)
  })
})

describe('config', () => {
  test('default prints a file that validates', async () => {
    const { out } = await run(['config', 'default'])
    const file = configFile(out)
    expect(await run(['config', 'validate', '--config', file])).toEqual({
      code: 0,
      out: `valid: ${file}\n`,
      err: '',
    })
  })

  test('validate says what is wrong, and where', async () => {
    const file = configFile('[streaming]\nport = "a"\n')
    const { code, err } = await run(['config', 'validate', '--config', file])
    expect([code, err]).toEqual([
      1,
      `cri-ts: ${file}:2: streaming.port is "a": it must be a TCP port from 0 to 65535\n`,
    ])
  })

  test('show prints what is used, flags and all, and where it comes from', async () => {
    const file = configFile('\n[cni]\nconf_dir = "/c"\n')
    const { out } = await run(['config', 'show', '--config', file, '--root', '/r'])
    expect(out).toContain('root = "/r" # --root\n')
    expect(out).toContain(`conf_dir = "/c" # ${file}:3\n`)
    expect(parse(out)).toMatchObject({ root: '/r', log_level: 'info' })
  })
})

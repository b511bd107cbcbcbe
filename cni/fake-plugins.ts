import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Command, Finished } from '#linux/command.ts'

/** What a test says of one call: nothing (success), or what the plugin prints and ends with. */
export type Behaviour = (call: Call) => Partial<Answer> | undefined | Promise<Partial<Answer> | undefined>

interface Answer {
  readonly exitCode: number
  readonly stdout: unknown
  readonly stderr: string
}

export interface Call {
  /** `ADD bridge` */
  readonly step: string
  readonly env: { readonly [name: string]: string }
  readonly config: { readonly [key: string]: unknown }
  readonly heldFds: readonly number[]
  readonly timeoutMs: number
}

/** A directory with configurations and (empty) plugins, and a `run` that plays them and keeps a journal. */
export interface FakePlugins extends AsyncDisposable {
  readonly directory: string
  readonly confDir: string
  readonly cacheDir: string
  readonly binDirs: readonly string[]
  readonly calls: Call[]
  readonly run: (command: Command) => Promise<Finished>
  steps(): readonly string[]
  behave(behaviour: Behaviour): void
  configure(list: object, file?: string): Promise<void>
  install(...types: string[]): Promise<void>
  uninstall(type: string): Promise<void>
}

export async function fakePlugins(): Promise<FakePlugins> {
  const directory = await mkdtemp(join(tmpdir(), 'cni-fake-'))
  const confDir = join(directory, 'net.d')
  const binDir = join(directory, 'bin')
  for (const path of [confDir, binDir]) await mkdir(path)
  const calls: Call[] = []
  let behaviour: Behaviour = () => undefined

  return {
    directory,
    confDir,
    cacheDir: join(directory, 'cache'),
    binDirs: [join(directory, 'other-bin'), binDir],
    calls,
    steps: () => calls.map(({ step }) => step),
    behave: (next) => {
      behaviour = next
    },
    configure: (list, file = '10-test.conflist') => writeFile(join(confDir, file), JSON.stringify(list)),
    install: async (...types) => {
      for (const type of types) {
        await writeFile(join(binDir, type), '')
        await chmod(join(binDir, type), 0o755)
      }
    },
    uninstall: (type) => rm(join(binDir, type)),
    run: async (command) => {
      const call = callOf(command)
      calls.push(call)
      const { exitCode = 0, stdout = resultFor(call), stderr = '' } = (await behaviour(call)) ?? {}
      const text = typeof stdout === 'string' ? stdout : JSON.stringify(stdout)
      return { exitCode, stdout: Buffer.from(text), stderr }
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

function callOf({ argv, env = {}, stdin, heldFds = [], timeoutMs }: Command): Call {
  const step = `${env['CNI_COMMAND']} ${basename(argv[0])}`
  return { step, env, config: JSON.parse(String(stdin)), heldFds, timeoutMs }
}

/** The first plugin of a chain makes eth0 with one address, a later one passes its result on. */
function resultFor({ step, env, config }: Call): unknown {
  if (!step.startsWith('ADD')) return ''
  const made = {
    cniVersion: config['cniVersion'],
    interfaces: [{ name: 'eth0', sandbox: env['CNI_NETNS'] }],
    ips: [{ address: '10.9.0.2/16', interface: 0 }],
  }
  return config['prevResult'] ?? made
}

import { Command, CommanderError } from 'commander'
import type { Config, ConfigFlags } from '#config/config.ts'
import { CriError, describeError } from '#lib/errors.ts'
import { addConfigCommands } from './config-commands.ts'
import { addImagesCommands } from './images-commands.ts'
import type { Terminal } from './live-lines.ts'
import { addMetricsCommand } from './metrics-command.ts'
import { addRegistryCommands } from './registry-commands.ts'
import { addStoreCommands } from './store-commands.ts'

/** What the command line needs of the process it runs in. */
export interface CliHost {
  readonly version: string
  out(text: string): void
  err(text: string): void
  /** Where stderr is a terminal: to change lines in place. */
  readonly terminal?: Terminal | undefined
  readonly environment: { readonly [name: string]: string | undefined }
  /** Runs the daemon until it is told to stop. */
  serve(config: Config): Promise<void>
}

/** A subcommand's surroundings: the host, and the flags that may stand anywhere on the line. */
export interface CliContext extends CliHost {
  flags(): ConfigFlags
}

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

/** Runs one command line (without the program's name) and answers the exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function cli(args: readonly string[], host: CliHost): Promise<number> {
  try {
    await programFor(host).parseAsync(args, { from: 'user' })
    return DONE
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE
    host.err(`cri-ts: ${messageOf(error)}\n`)
    return FAILED
  }
}

function programFor(host: CliHost): Command {
  const program = new Command('cri-ts')
    .description('A Kubernetes container runtime (CRI)')
    .version(`cri-ts ${host.version}`, '--version', 'print the version')
    .helpOption('-h, --help', 'say what there is')
    .helpCommand('help [command]', 'say what there is, or what a command takes')
    .option(
      '--config <file>',
      'the configuration, with drop-ins in config.d beside it (/etc/cri-ts/config.toml)',
    )
    .option('--root <dir>', 'go over the configuration: where images and records lie')
    .option('--state <dir>', 'the same: what does not survive a reboot')
    .option('--listen <socket>', 'the same: the CRI socket, a path or unix:// URL')
    .option('--log-level <level>', 'the same: trace, debug, info, warn, error or fatal')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help after a command says what it takes)')
    .configureOutput({ writeOut: host.out, writeErr: host.err })
    .exitOverride()
  const context: CliContext = { ...host, flags: () => program.opts<ConfigFlags>() }

  program
    .command('serve')
    .description('run the daemon')
    .action(async () => {
      const { loadConfig } = await import('#config/config.ts')
      await host.serve(loadConfig(context.flags()).config)
    })
  program
    .command('version')
    .description('print the versions of cri-ts and of the Node it runs on')
    .action(() => host.out(`cri-ts ${host.version} (node ${process.version})\n`))
  addConfigCommands(program, context)
  addImagesCommands(program, context)
  addRegistryCommands(program, context)
  addMetricsCommand(program, context)
  addStoreCommands(program, context)
  return program
}

/** A failure that was foreseen says all in its message; a bug is told with its stack. */
function messageOf(error: unknown): string {
  if (error instanceof CriError || !(error instanceof Error)) return describeError(error)
  return `${describeError(error)}\n${error.stack ?? ''}`
}

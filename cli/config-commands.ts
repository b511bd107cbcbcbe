import type { Command } from 'commander'
import type { CliContext } from './cli.ts'

/** `config default | validate | show`. The schema is loaded only by those that need it: `version` starts without it. */
export function addConfigCommands(program: Command, { out, flags }: CliContext): void {
  const config = program.command('config').description('about the configuration')

  config
    .command('default')
    .description('print a configuration file with every key, its default and what it means')
    .action(async () => {
      const { defaultFileConfig } = await import('#config/config.ts')
      const { documentedToml } = await import('#config/render.ts')
      out(documentedToml(defaultFileConfig()))
    })
  config
    .command('validate')
    .description('check the configuration; exits 1 and says what is wrong, and where')
    .action(async () => {
      const { loadConfig } = await import('#config/config.ts')
      const { files } = loadConfig(flags())
      out(
        files.length === 0
          ? 'valid: there is no file, so all is as by default\n'
          : `valid: ${files.join(', ')}\n`,
      )
    })
  config
    .command('show')
    .description('print the configuration as it is used, and where each value comes from')
    .action(async () => {
      const { loadConfig } = await import('#config/config.ts')
      const { annotatedToml } = await import('#config/render.ts')
      const { asFile, origin } = loadConfig(flags())
      out(annotatedToml(asFile, origin))
    })
}

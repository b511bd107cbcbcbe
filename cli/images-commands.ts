import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { AdminClient } from '#admin/client.ts'
import type { CliContext } from './cli.ts'
import { columns, humanSize } from './columns.ts'

/** `images import | ls`: asked of the running daemon, so that nothing writes its store beside it. */
export function addImagesCommands(program: Command, context: CliContext): void {
  const images = program.command('images').description("about the running daemon's images")

  images
    .command('import')
    .description('import an OCI or docker-archive tarball')
    .argument('<file>', 'the tarball; the daemon must be able to read it')
    .option('--name <name>', 'the name of the image, instead of those in the tarball')
    .action(async (file: string, { name }: { name?: string }) => {
      const client = await daemon(context)
      for (const { id, names } of await client.importArchive(resolve(file), name)) {
        context.out(`${[id, ...names].join(' ')}\n`)
      }
    })
  images
    .command('ls')
    .description('list them')
    .action(async () => {
      const client = await daemon(context)
      const rows = (await client.listImages()).map(({ id, tags, digests, sizeBytes }) => [
        id.replace(/^sha256:/, '').slice(0, 13),
        humanSize(sizeBytes),
        (tags.length > 0 ? tags : digests).join(' '),
      ])
      context.out(columns([['IMAGE ID', 'SIZE', 'NAMES'], ...rows]))
    })
}

async function daemon({ flags }: CliContext): Promise<AdminClient> {
  const { loadConfig } = await import('#config/config.ts')
  const { adminClient, adminSocket } = await import('#admin/client.ts')
  return adminClient(adminSocket(loadConfig(flags()).config.state))
}

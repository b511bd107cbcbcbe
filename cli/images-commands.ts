import type { Command } from 'commander'
import type { ImageClient } from '#admin/image-client.ts'
import { addArchiveCommands } from './archive-commands.ts'
import type { CliContext } from './cli.ts'
import { columns, humanSize } from './columns.ts'
import { daemonClient } from './daemon-client.ts'
import { type PullFlags, pullImage } from './pull-command.ts'

/** `images …`: asked of the running daemon, so that nothing writes its store beside it. */
export function addImagesCommands(program: Command, context: CliContext): void {
  const images = program.command('images').description("about the running daemon's images")

  images
    .command('pull')
    .description('pull an image from its registry; its id is printed, progress goes to stderr')
    .argument('<image>', 'as a pod names it: registry.example/app:1, or with @sha256:…')
    .option('--creds-file <file>', 'user:password for the registry, in its first line; - is standard input')
    .option('--platform <platform>', 'that one of image.platforms, rather than the best: linux/arm64')
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', '\nCRI_TS_CREDS in the environment is the same as --creds-file.')
    .action(async (image: string, flags: PullFlags) => {
      await pullImage(await imagesOf(context), image, flags, context)
    })
  addArchiveCommands(images, () => imagesOf(context), context)
  images
    .command('ls')
    .description('list them')
    .option('--json', 'the same for programs: all names, sizes in bytes, and which are pinned')
    .action(async ({ json }: { readonly json?: true }) => {
      const listed = await (await imagesOf(context)).list()
      if (json) return context.out(`${JSON.stringify(listed, null, 2)}\n`)
      const rows = listed.map(({ id, tags, digests, sizeBytes }) => [
        id.replace(/^sha256:/, '').slice(0, 13),
        humanSize(sizeBytes),
        (tags.length > 0 ? tags : digests).join(' '),
      ])
      return context.out(columns([['IMAGE ID', 'SIZE', 'NAMES'], ...rows]))
    })
  images
    .command('inspect')
    .description('print all that is known of an image, as JSON')
    .argument('<image>', 'a name, an id, or the beginning of an id')
    .action(async (image: string) => {
      const client = await imagesOf(context)
      context.out(`${JSON.stringify(await client.inspect(image), null, 2)}\n`)
    })
  images
    .command('rm')
    .description('remove images, each with all its names; containers made of them run on')
    .argument('<images...>', 'names, ids, or beginnings of ids')
    .action(async (references: string[]) => {
      const client = await imagesOf(context)
      for (const reference of references) {
        const { id, tags, digests } = await client.remove(reference)
        context.out(`${[id, ...(tags.length > 0 ? tags : digests)].join(' ')}\n`)
      }
    })
}

async function imagesOf(context: CliContext): Promise<ImageClient> {
  const { imageClient } = await import('#admin/image-client.ts')
  return imageClient(await daemonClient(context))
}

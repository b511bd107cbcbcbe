import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { ImageClient } from '#admin/image-client.ts'
import type { CliContext } from './cli.ts'

interface ExportFlags {
  readonly output: string
  readonly format: 'oci' | 'docker'
  readonly compression?: 'gzip' | 'none'
}

/** `images import | export`: the daemon reads and writes the archives. */
export function addArchiveCommands(
  images: Command,
  client: () => Promise<ImageClient>,
  context: Pick<CliContext, 'out'>,
): void {
  images
    .command('import')
    .description('import an OCI or docker-archive tarball')
    .argument('<file>', 'the tarball; the daemon must be able to read it')
    .option('--name <name>', 'the name of the image, instead of those in the tarball')
    .action(async (file: string, { name }: { name?: string }) => {
      const daemon = await client()
      for (const { id, names } of await daemon.importArchive(resolve(file), name)) {
        context.out(`${[id, ...names].join(' ')}\n`)
      }
    })
  images
    .command('export')
    .description('write images into an archive, their layers byte for byte as they came')
    .argument('<images...>', 'names, ids, or beginnings of ids')
    .requiredOption('-o, --output <file>', 'the archive; the daemon writes it, in place of what is there')
    .addOption(
      new Option('--format <format>', 'an OCI image layout, or for `docker load`')
        .choices(['oci', 'docker'])
        .default('oci'),
    )
    .addOption(
      new Option('--compression <way>', 'of layers: gzip unless --format is docker').choices([
        'gzip',
        'none',
      ]),
    )
    .action(async (references: string[], flags: ExportFlags) => {
      const daemon = await client()
      const { format, output, compression = format === 'docker' ? 'none' : 'gzip' } = flags
      const request = { images: references, path: resolve(output), format, compression }
      for (const { id, names } of await daemon.exportArchive(request)) {
        context.out(`${[id, ...names].join(' ')}\n`)
      }
    })
}

import type { Command } from 'commander'
import type { PruneAnswer, StoreCheckAnswer, StoreClient, StoreUsageAnswer } from '#admin/store-client.ts'
import { CriError } from '#lib/errors.ts'
import type { CliContext } from './cli.ts'
import { columns, humanSize } from './columns.ts'
import { daemonClient } from './daemon-client.ts'

interface Flags {
  readonly json?: boolean
}

/** `store df | check | prune`: asked of the running daemon, which alone knows what is on its way. */
export function addStoreCommands(program: Command, context: CliContext): void {
  const store = program.command('store').description("about the running daemon's disk space")
  const answer = <Answer>(flags: Flags, found: Answer, text: (found: Answer) => string): void =>
    context.out(flags.json === true ? `${JSON.stringify(found, null, 2)}\n` : text(found))

  store
    .command('df')
    .description('say what each byte of the image store and of the root directory is for')
    .option('--json', 'the same for programs: bytes and inodes')
    .action(async (flags: Flags) => answer(flags, await (await storeOf(context)).usage(), usageText))
  store
    .command('check')
    .description(
      'compare records, directories and the digests of all layers; exit code 1 when something is wrong',
    )
    .option('--repair', 'drop what is broken with its images, but for what containers are made of')
    .option('--quick', 'look only at what is there, do not read the files of layers')
    .option('--json', 'the same for programs')
    .action(async (flags: Flags & { readonly repair?: boolean; readonly quick?: boolean }) => {
      const { repair = false, quick = false } = flags
      const found = await (await storeOf(context)).check({ repair, deep: !quick })
      answer(flags, found, checkText)
      const left = found.problems.filter(({ repaired }) => !repaired)
      if (left.length === 0) return
      throw new CriError(
        'failed-precondition',
        `${left.length} of the store's problems are left: ${remedyOf(left, repair)}`,
      )
    })
  store
    .command('prune')
    .description('delete layers that nothing needs, and what is left of removed ones')
    .option('--all', 'and images that no container is made of, but for pinned ones')
    .option('--dry-run', 'only say what would go')
    .option('--json', 'the same for programs')
    .action(async (flags: Flags & { readonly all?: boolean; readonly dryRun?: boolean }) => {
      const { all = false, dryRun = false } = flags
      const gone = await (await storeOf(context)).prune({ all, dryRun })
      answer(flags, gone, (found) => pruneText(found, dryRun))
    })
}

function remedyOf(left: StoreCheckAnswer['problems'], repair: boolean): string {
  if (left.every(({ checked }) => !checked)) return 'see why they could not be read, and check again'
  return repair ? 'remove the containers that use it first' : 'run it with --repair'
}

const KINDS: { readonly [kind: string]: string } = {
  image: 'image',
  shared: 'layers of several images',
  held: 'layers of removed images, for containers',
  pull: 'pulls under way',
  container: 'written by container',
  volumes: "image's volumes of container",
  trash: 'removed, being deleted',
  checkpoints: 'checkpoints',
  networks: 'results of CNI plugins',
  databases: 'databases',
  store: "the store's own directories",
  unowned: 'NOBODY OWNS IT',
}

function usageText({ owners, totals, isWhole }: StoreUsageAnswer): string {
  const rows = owners.map(({ kind, names, usedBytes, usedInodes }) => [
    humanSize(usedBytes),
    `${usedInodes}`,
    KINDS[kind] ?? kind,
    names.join(' '),
  ])
  const sums = totals.map(({ path, usedBytes, usedInodes }) => [
    humanSize(usedBytes),
    `${usedInodes}`,
    'all of',
    path,
  ])
  const more = isWhole ? '' : 'Some trees were too big to be measured to their end: there is more.\n'
  return `${columns([['SIZE', 'FILES', 'WHAT', 'WHOSE'], ...rows, ...sums])}${more}`
}

function checkText({ problems, layers, images, unverified }: StoreCheckAnswer): string {
  const lines = problems.map(({ subject, what, images, containers, repaired }) =>
    [
      `${subject}: ${what}`,
      ...(repaired ? ['repaired'] : []),
      ...(containers.length > 0 ? [`used by containers ${containers.join(' ')}`] : []),
      ...(images.length > 0 ? [`${repaired ? 'pull again' : 'needed by'}: ${images.join(' ')}`] : []),
    ].join('; '),
  )
  const unknown =
    unverified.length === 0 ? '' : `, of which ${unverified.length} are there but could not be verified`
  const summary = `${images} images, ${layers} layers${unknown}, ${problems.length} problems`
  return [...lines, summary].map((line) => `${line}\n`).join('')
}

function pruneText({ images, layers, trash, freedBytes }: PruneAnswer, dryRun: boolean): string {
  const verb = dryRun ? 'would be' : 'were'
  const names = images.map((name) => `${name}\n`).join('')
  return `${names}${images.length} images, ${layers.length} layers and ${trash} removed trees ${verb} deleted: ${humanSize(freedBytes)}\n`
}

async function storeOf(context: CliContext): Promise<StoreClient> {
  const { storeClient } = await import('#admin/store-client.ts')
  return storeClient(await daemonClient(context))
}

import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CriError } from '#lib/errors.ts'
import type { Command, Finished } from '#linux/command.ts'
import { findProgram } from '#linux/find-program.ts'
import { namesIn } from '#linux/names-in.ts'
import { workerUrl } from '#linux/worker-url.ts'
import type { CheckpointArchives, CheckpointDescription, OpenedCheckpoint } from '#runtime/checkpoint-port.ts'
import { configDump, parseConfigDump, parseSpecDump } from './checkpoint-dumps.ts'
import type { CheckpointReply, CheckpointTask, ScanResult, UnpackResult } from './checkpoint-messages.ts'
import { findImage } from './find-image.ts'
import type { HeldLayer, Images } from './open-images.ts'

export interface CheckpointArchivesOptions {
  /** What is laid out: a directory for each container. */
  readonly directory: string
  readonly store: Pick<Images, 'store' | 'written' | 'onlyLayer' | 'trash'>
  readonly run: (command: Command) => Promise<Finished>
  /** Held by what runs for a container. */
  readonly lock: (containerId: string) => Disposable & { readonly fd: number }
}

/** Memory is written out and read: at 100 MB/s a container of 60 GB. */
const TAR_TIMEOUT_MS = 600_000
const REMOVE_TIMEOUT_MS = 10_000

/** On the disk whole, or not there. */
const WRITE_ARCHIVE =
  'umask 077; tar --create --file="$1.part" --directory="$2" . && sync "$1.part" && mv -T -- "$1.part" "$1" || { rm -f -- "$1.part"; exit 1; }'

/** Archives by tar(1), outside the daemon; they are read by the reader of layers, in a thread. */
export function createCheckpointArchives(options: CheckpointArchivesOptions): CheckpointArchives {
  const { directory, store } = options
  const home = (id: string): string => join(directory, id)
  const archive = (id: string): string => join(home(id), 'archive')
  removeParts(options)
  store.trash.discard(directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })

  return {
    async prepare(id) {
      const images = join(archive(id), 'checkpoint')
      mkdirSync(images, { recursive: true, mode: 0o700 })
      return { images, work: archive(id) }
    },

    async pack(id, description, location, signal) {
      const { upper, lowers } = store.written(id)
      const listFile = join(home(id), 'list')
      const { deleted } = await inThread<ScanResult>({ task: 'scan', upper, lowers, listFile })
      writeFileSync(join(archive(id), 'deleted.files'), JSON.stringify(deleted))
      writeDumps(archive(id), description)
      using lock = options.lock(id)
      const tar = async (argv: [string, ...string[]]): Promise<void> => {
        signal.throwIfAborted()
        await runTar(options, lock.fd, argv, location)
      }
      await tar(packingArguments(upper, listFile, join(archive(id), 'rootfs-diff.tar')))
      await using part = partOf(options, home(id), location)
      await tar(['/bin/sh', '-c', WRITE_ARCHIVE, 'sh', location, archive(id)])
      part.isWhole = true
    },

    isCheckpoint(reference) {
      if (posix.isAbsolute(reference)) return true
      using layer = layerOf(store, reference)
      return layer !== undefined
    },

    async open(id, reference) {
      using layer = posix.isAbsolute(reference) ? undefined : layerOf(store, reference)
      try {
        const result = await inThread<UnpackResult>(
          layer === undefined
            ? { task: 'unpack', archive: reference, home: home(id) }
            : { task: 'take', layer: layer.path, home: home(id) },
        )
        return opened(result, home(id))
      } catch (error) {
        if (!(error instanceof CriError)) throw error
        throw new CriError(error.kind, `checkpoint ${reference}: ${error.message}`, { cause: error.cause })
      }
    },

    async remove(id) {
      store.trash.discard(home(id))
    },
  }
}

/** Where the archive is written first. What is left of it goes with a failure, and at the next start after a crash. */
function partOf({ run }: CheckpointArchivesOptions, home: string, location: string) {
  writeFileSync(join(home, 'part'), `${location}.part`)
  return {
    isWhole: false,
    async [Symbol.asyncDispose]() {
      if (!this.isWhole) await removeFile(run, `${location}.part`)
    },
  }
}

function removeParts({ directory, run }: CheckpointArchivesOptions): void {
  for (const id of namesIn(directory)) {
    const file = join(directory, id, 'part')
    if (existsSync(file)) void removeFile(run, readFileSync(file, 'utf8'))
  }
}

/** By a program: the path is kubelet's, and may hang. */
async function removeFile(run: CheckpointArchivesOptions['run'], path: string): Promise<void> {
  await run({ argv: ['/bin/rm', '-f', '--', path], timeoutMs: REMOVE_TIMEOUT_MS }).catch(() => {})
}

/** A checkpoint's image runs nothing by itself, and its one layer is an archive unpacked. */
function layerOf(images: CheckpointArchivesOptions['store'], reference: string): HeldLayer | undefined {
  const image = findImage(images.store, reference)
  if (image === undefined || image.config.entrypoint.length > 0 || image.config.cmd.length > 0)
    return undefined
  const layer = images.onlyLayer(image)
  if (layer === undefined) return undefined
  // A link of the image's would lead to the host's files, which may hang.
  if (lstatSync(join(layer.path, 'config.dump'), { throwIfNoEntry: false })?.isFile() === true) return layer
  layer[Symbol.dispose]()
  return undefined
}

function writeDumps(directory: string, description: CheckpointDescription): void {
  writeFileSync(join(directory, 'config.dump'), configDump(description))
  writeFileSync(join(directory, 'spec.dump'), JSON.stringify(description.ociSpec))
}

function opened(
  { configDump: config, specDump, imagesDirectory }: UnpackResult,
  home: string,
): OpenedCheckpoint {
  return {
    imagesDirectory,
    upperDirectory: join(home, 'upper'),
    images: parseConfigDump(config),
    bindDestinations: parseSpecDump(specDump),
  }
}

const packingArguments = (upper: string, listFile: string, target: string): [string, ...string[]] => [
  ...([
    findProgram('tar') ?? '/bin/tar',
    '--create',
    `--file=${target}`,
    '--format=posix',
    '--numeric-owner',
    '--no-recursion',
  ] as const),
  ...['--xattrs', '--xattrs-include=*', '--xattrs-exclude=trusted.overlay.*', `--directory=${upper}`],
  ...['--null', '--verbatim-files-from', `--files-from=${listFile}`],
]

async function runTar(
  { run }: CheckpointArchivesOptions,
  heldFd: number,
  argv: [string, ...string[]],
  location: string,
): Promise<void> {
  const { exitCode, stderr } = await run({ argv, timeoutMs: TAR_TIMEOUT_MS, heldFds: [heldFd] })
  if (exitCode === 0) return
  throw new CriError('failed-precondition', `archive ${location}: tar failed: ${stderr}`)
}

/** A worker of its own: what it looks at may hang, and checkpoints are rare. */
async function inThread<Result extends ScanResult | UnpackResult>(task: CheckpointTask): Promise<Result> {
  const worker = new Worker(workerUrl(import.meta.url, 'checkpoint'), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  })
  const { promise, resolve, reject } = Promise.withResolvers<CheckpointReply>()
  worker.on('message', resolve)
  worker.on('error', reject)
  worker.on('exit', () => reject(new Error('the thread that reads a checkpoint ended')))
  const reply = await promise
  if ('error' in reply) throw new CriError(reply.error.kind, reply.error.message)
  return reply.result as Result
}

import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  writeFileSync,
} from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import { CheckpointArchiveReader, noFile } from './checkpoint-archive-reader.ts'
import type { CheckpointReply, CheckpointTask, ScanResult, UnpackResult } from './checkpoint-messages.ts'
import { createDecoder } from './layer-decoder.ts'
import { TarReader } from './tar-reader.ts'
import { writtenFiles } from './written-files.ts'

/** The thread that walks through what a container has written, and lays out archives of containers. */
const { O_RDONLY, O_NOFOLLOW } = constants
const CHUNK_BYTES = 1 << 20

perform(workerData as CheckpointTask).then(
  (result) => parentPort?.postMessage({ result } satisfies CheckpointReply),
  (error: unknown) => {
    const kind = error instanceof CriError ? error.kind : 'internal'
    parentPort?.postMessage({ error: { kind, message: describeError(error) } } satisfies CheckpointReply)
  },
)

async function perform(task: CheckpointTask): Promise<ScanResult | UnpackResult> {
  if (task.task === 'scan') return scan(task)
  mkdirSync(task.home, { recursive: true, mode: 0o700 })
  mkdirSync(`${task.home}/upper`, { mode: 0o755 })
  return task.task === 'unpack' ? unpack(task.archive, task.home) : take(task.layer, task.home)
}

function scan({ upper, lowers, listFile }: CheckpointTask & { task: 'scan' }): ScanResult {
  const { files, deleted } = writtenFiles(upper, lowers)
  writeFileSync(listFile, files.map((name) => `${name}\0`).join(''))
  return { deleted }
}

async function unpack(archive: string, home: string): Promise<UnpackResult> {
  const fd = openSync(archive, O_RDONLY)
  if (!fstatSync(fd).isFile()) {
    closeSync(fd)
    throw invalidArgument('it is no file: name an archive that CheckpointContainer has made')
  }
  using reader = new CheckpointArchiveReader(home)
  const tar = new TarReader(reader)
  const source = createReadStream('', { fd, highWaterMark: CHUNK_BYTES })
  const decoder = createDecoder(readAt(fd, 4, 0))
  const push = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) tar.push(chunk)
  }
  await (decoder === undefined ? pipeline(source, push) : pipeline(source, decoder, push))
  tar.finish()
  return { ...reader.finish(), imagesDirectory: `${home}/checkpoint` }
}

/** An image's layer is the archive unpacked already: its images are used where they lie. */
function take(layer: string, home: string): UnpackResult {
  using reader = new CheckpointArchiveReader(home)
  for (const name of ['config.dump', 'spec.dump', 'deleted.files', 'rootfs-diff.tar']) {
    const fd = openPlain(`${layer}/${name}`)
    if (fd === undefined) continue
    try {
      passOn(reader, name, fd)
    } finally {
      closeSync(fd)
    }
  }
  const images = `${layer}/checkpoint`
  const isOdd = (path: string): boolean => !lstatSync(path).isFile()
  if (!lstatSync(images).isDirectory() || readdirSync(images).some((name) => isOdd(`${images}/${name}`))) {
    throw invalidArgument("checkpoint in the image is no directory of CRIU's images")
  }
  return { ...reader.finish(), imagesDirectory: images }
}

/** Undefined where there is none, or something else than a file: links in images lead to the host's files. */
function openPlain(path: string): number | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return undefined
  return openSync(path, O_RDONLY | O_NOFOLLOW)
}

function passOn(reader: CheckpointArchiveReader, name: string, fd: number): void {
  const sizeBytes = fstatSync(fd).size
  reader.entry({ ...noFile, name, sizeBytes })
  for (let at = 0; at < sizeBytes; ) {
    const chunk = readAt(fd, Math.min(CHUNK_BYTES, sizeBytes - at), at)
    if (chunk.length === 0) break
    reader.data(chunk)
    at += chunk.length
  }
  reader.end()
}

function readAt(fd: number, length: number, position: number): Buffer {
  const chunk = Buffer.alloc(length)
  return chunk.subarray(0, readSync(fd, chunk, 0, length, position))
}

import { invalidArgument } from '#lib/errors.ts'
import { componentsOf } from './layer-path.ts'
import { LayerWriter } from './layer-writer.ts'
import type { TarEntry } from './tar-entry.ts'
import { type TarHandler, TarReader } from './tar-reader.ts'

const JSON_LIMIT_BYTES = 16 << 20
const ENTRY_LIMIT = 2_000_000
const described = ['config.dump', 'spec.dump', 'deleted.files'] as const
type Described = (typeof described)[number]

const IMAGES = 'checkpoint/'
const WRITTEN = 'rootfs-diff.tar'
/** An entry of which nothing but its name is known. */
export const noFile: Omit<TarEntry, 'name'> = {
  type: 'file',
  ...{ mode: 0, uid: 0, gid: 0, sizeBytes: 0, linkName: '', major: 0, minor: 0 },
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
}

/**
 * Lays the entries of a checkpoint's archive out as they come: CRIU's images below `home`, what the container had
 * written in `home`/upper in overlayfs's form. Nothing outside is touched, whatever the archive says.
 */
export class CheckpointArchiveReader implements TarHandler, Disposable {
  readonly #texts = new Map<Described, Buffer[]>()
  readonly #images: LayerWriter
  readonly #upper: LayerWriter
  /** Gets the data of the entry that is being read. */
  #sink: { data(chunk: Buffer): void; end(): void } | undefined

  constructor(home: string) {
    this.#images = new LayerWriter(home, ENTRY_LIMIT)
    this.#upper = new LayerWriter(`${home}/upper`, ENTRY_LIMIT)
  }

  entry(entry: TarEntry): void {
    const name = componentsOf(entry.name).join('/')
    const text = described.find((each) => each === name)
    if (text !== undefined) this.#sink = this.#textSink(text, entry)
    else if (name === WRITTEN) this.#sink = written(new TarReader(this.#upper))
    else if (`${name}/`.startsWith(IMAGES)) this.#sink = this.#imageSink(entry)
    else this.#sink = undefined
  }

  data(chunk: Buffer): void {
    this.#sink?.data(chunk)
  }

  end(): void {
    this.#sink?.end()
    this.#sink = undefined
  }

  /** After the last entry; throws invalid-argument for what is no checkpoint. */
  finish(): { readonly configDump: string; readonly specDump: string } {
    for (const path of this.#deleted()) {
      const parent = path.slice(0, path.lastIndexOf('/') + 1)
      this.#upper.entry({ ...noFile, name: `${parent}.wh.${path.slice(parent.length)}` })
    }
    const { gaps } = this.#upper.finish()
    const [link] = gaps.links
    if (link !== undefined) {
      throw invalidArgument(
        `${link.path} in the archive is a hard link to ${link.target}, which it does not have`,
      )
    }
    this.#images.finish()
    return { configDump: this.#text('config.dump'), specDump: this.#text('spec.dump') }
  }

  [Symbol.dispose](): void {
    this.#images[Symbol.dispose]()
    this.#upper[Symbol.dispose]()
  }

  #textSink(name: Described, { sizeBytes }: TarEntry) {
    if (sizeBytes > JSON_LIMIT_BYTES) throw invalidArgument(`${name} in the archive has ${sizeBytes} bytes`)
    const pieces: Buffer[] = []
    this.#texts.set(name, pieces)
    return { data: (chunk: Buffer) => void pieces.push(Buffer.from(chunk)), end: () => {} }
  }

  #imageSink(entry: TarEntry) {
    if (entry.type !== 'file' && entry.type !== 'directory') {
      throw invalidArgument(`${entry.name} in the archive is a ${entry.type}: CRIU's images are files`)
    }
    this.#images.entry(entry)
    return this.#images
  }

  #text(name: Described): string {
    const pieces = this.#texts.get(name)
    if (pieces !== undefined) return Buffer.concat(pieces).toString()
    throw invalidArgument(`it has no ${name}: it is no checkpoint of a container`)
  }

  #deleted(): readonly string[] {
    if (!this.#texts.has('deleted.files')) return []
    const names: unknown = JSON.parse(this.#text('deleted.files'))
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
    throw invalidArgument('deleted.files in the archive is no list of names')
  }
}

const written = (reader: TarReader) => ({
  data: (chunk: Buffer) => reader.push(chunk),
  end: () => reader.finish(),
})

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CriError, describeError, errnoOf } from '#lib/errors.ts'
import type { CdiDevices, ContainerEdits } from '#runtime/injection-port.ts'
import { completeEdits } from './cdi-devices.ts'
import { type CdiEdits, type CdiSpec, parseCdiSpec } from './cdi-spec.ts'

const MAX_FILE_BYTES = 4 << 20

interface SpecFile {
  readonly path: string
  /** What of it would change with its content. */
  readonly version: string
  readonly spec: CdiSpec | undefined
  /** '' where there is a spec. */
  readonly problem: string
}

interface Definition {
  readonly file: string
  readonly ofFile: CdiEdits
  readonly ofDevice: CdiEdits
}

interface Found {
  readonly devices: ReadonlyMap<string, Definition>
  /** A sentence each, with the file. */
  readonly problems: readonly string[]
}

/**
 * The CDI files (*.json, *.yaml) of some directories, looked at anew for each request and parsed when they have changed.
 * What a later directory defines goes over the same device of an earlier one; twice in one directory, it is no device.
 */
export class CdiDirectories implements CdiDevices {
  readonly #directories: readonly string[]
  #files: ReadonlyMap<string, SpecFile> = new Map()

  constructor(directories: readonly string[]) {
    this.#directories = directories
  }

  async edits(names: readonly string[]): Promise<readonly ContainerEdits[]> {
    const found = await this.#find()
    const definitions = names.map((name) => [name, found.devices.get(name)] as const)
    const missing = definitions.flatMap(([name, definition]) => (definition === undefined ? [name] : []))
    if (missing.length > 0) throw this.#unresolved(missing, found)

    const begun = new Set<string>()
    const edits: Promise<ContainerEdits>[] = []
    for (const [name, definition] of definitions) {
      if (definition === undefined) continue
      const { file, ofFile, ofDevice } = definition
      if (!begun.has(file)) edits.push(completeEdits(ofFile, `CDI specification ${file}`))
      begun.add(file)
      edits.push(completeEdits(ofDevice, `CDI device ${name} of ${file}`))
    }
    return Promise.all(edits)
  }

  async #find(): Promise<Found> {
    const devices = new Map<string, Definition>()
    const problems: string[] = []
    const read = new Map<string, SpecFile>()
    for (const directory of this.#directories) {
      const files = await filesOf(directory, this.#files).catch((error: unknown) => {
        problems.push(`${directory}: ${describeError(error)}`)
        return []
      })
      for (const file of files) {
        read.set(file.path, file)
        if (file.problem !== '') problems.push(`${file.path}: ${file.problem}`)
      }
      const { defined, conflicts } = definitionsOf(files)
      for (const [name, definition] of defined) devices.set(name, definition)
      for (const [name, paths] of conflicts) {
        devices.delete(name)
        problems.push(`${name} is defined by ${paths.join(' and by ')}: keep one`)
      }
    }
    this.#files = read
    return { devices, problems }
  }

  #unresolved(missing: readonly string[], { devices, problems }: Found): CriError {
    const kinds = new Set(missing.map((name) => name.slice(0, name.indexOf('=') + 1)))
    const others = [...devices.keys()].filter((name) => kinds.has(name.slice(0, name.indexOf('=') + 1)))
    const sentences = [
      `CDI device ${missing.join(', ')} is defined by no file of ${this.#directories.join(', ') || 'cdi_spec_dirs (none)'}`,
      ...(others.length > 0 ? [`defined are ${shortened(others)}`] : []),
      ...(problems.length > 0 ? [`these cannot be used: ${shortened(problems)}`] : []),
    ]
    return new CriError('failed-precondition', `${sentences.join('; ')}: is the vendor's driver set up here?`)
  }
}

const MANY = 10
const shortened = (items: readonly string[]): string =>
  items.length <= MANY
    ? items.join(', ')
    : `${items.slice(0, MANY).join(', ')} and ${items.length - MANY} more`

function definitionsOf(files: readonly SpecFile[]) {
  const all = files.flatMap(({ path, spec }) =>
    (spec?.devices ?? []).map((device) => {
      const name = `${spec?.kind}=${device.name}`
      return [
        name,
        { file: path, ofFile: spec?.containerEdits as CdiEdits, ofDevice: device.containerEdits },
      ] as const
    }),
  )
  const defined = new Map<string, Definition>(all)
  const conflicts = new Map<string, readonly string[]>()
  for (const [name] of all) {
    const paths = all.filter(([other]) => other === name).map(([, { file }]) => file)
    if (paths.length > 1) conflicts.set(name, paths)
  }
  return { defined, conflicts }
}

/** Of a directory, in the order of their names; none where it is not there. */
async function filesOf(
  directory: string,
  known: ReadonlyMap<string, SpecFile>,
): Promise<readonly SpecFile[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const wanted = names.filter((name) => /\.(?:json|yaml)$/.test(name)).toSorted()
  const files = await Promise.all(wanted.map((name) => fileAt(join(directory, name), known)))
  return files.filter((file) => file !== undefined)
}

/** Undefined for one that is gone by now. */
async function fileAt(path: string, known: ReadonlyMap<string, SpecFile>): Promise<SpecFile | undefined> {
  let version = ''
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    version = [ino, size, mtimeNs, ctimeNs].join(' ')
    const before = known.get(path)
    if (before?.version === version) return before
    if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`)
    const spec = parseCdiSpec(await readFile(path, 'utf8'), path.endsWith('.json') ? 'json' : 'yaml')
    return { path, version, spec, problem: '' }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    return { path, version, spec: undefined, problem: describeError(error).split('\n')[0] ?? '' }
  }
}

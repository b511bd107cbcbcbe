import { CriError } from '#lib/errors.ts'
import type { CdiDevices, ContainerEdits } from '#runtime/injection-port.ts'
import { completeEdits } from './cdi-devices.ts'
import { type CdiEdits, type CdiSpec, parseCdiSpec } from './cdi-spec.ts'
import { ParsedDirectories, type ParsedFile } from './parsed-directories.ts'

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
 * The CDI files (*.json, *.yaml) of some directories, as they are at each request.
 * What a later directory defines goes over the same device of an earlier one; twice in one directory, it is no device.
 */
export class CdiDirectories implements CdiDevices {
  readonly #directories: readonly string[]
  readonly #files: ParsedDirectories<CdiSpec>

  constructor(directories: readonly string[]) {
    this.#directories = directories
    this.#files = new ParsedDirectories(directories, /\.(?:json|yaml)$/, (text, path) =>
      parseCdiSpec(text, path.endsWith('.json') ? 'json' : 'yaml'),
    )
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
    for (const { path, files, problem } of await this.#files.read()) {
      const bad = [{ path, problem }, ...files].filter((each) => each.problem !== '')
      problems.push(...bad.map((each) => `${each.path}: ${each.problem}`))
      const { defined, conflicts } = definitionsOf(files)
      for (const [name, definition] of defined) devices.set(name, definition)
      for (const [name, paths] of conflicts) {
        devices.delete(name)
        problems.push(`${name} is defined by ${paths.join(' and by ')}: keep one`)
      }
    }
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

function definitionsOf(files: readonly ParsedFile<CdiSpec>[]) {
  const all = files.flatMap(({ path: file, content }) => {
    if (content === undefined) return []
    const { kind, devices, containerEdits: ofFile } = content
    return devices.map(({ name, containerEdits: ofDevice }) => {
      return [`${kind}=${name}`, { file, ofFile, ofDevice }] as const
    })
  })
  const defined = new Map<string, Definition>(all)
  const conflicts = new Map<string, readonly string[]>()
  for (const [name] of all) {
    const paths = all.filter(([other]) => other === name).map(([, { file }]) => file)
    if (paths.length > 1) conflicts.set(name, paths)
  }
  return { defined, conflicts }
}

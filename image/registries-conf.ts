import { join } from 'node:path'
import { namesIn, ParsedFiles } from './parsed-files.ts'
import {
  type Alias,
  parseRegistriesFile,
  type RegistriesFile,
  type RegistryTable,
} from './registries-file.ts'

/** All of containers-registries.conf(5): the file, its drop-ins and the aliases that podman has recorded. */
export interface RegistriesConf {
  /** Of short names; undefined where nobody sets them. */
  readonly searchRegistries: readonly string[] | undefined
  readonly searchMode: NonNullable<RegistriesFile['shortNameMode']>
  /** Where searchRegistries are set: a file. */
  readonly searchFile: string
  readonly credentialHelpers: readonly string[]
  readonly aliases: ReadonlyMap<string, Alias>
  readonly registries: readonly RegistryTable[]
}

/** Stands in credential-helpers for the files of containers-auth.json(5). */
export const AUTH_FILES = 'containers-auth.json'

/** Where podman writes what it was told short names are. */
export const RECORDED_ALIASES = '/var/cache/containers/short-name-aliases.conf'

/**
 * Reads `file` and *.conf in `file`.d, in the order of their names: a later file's lists replace those before, a later
 * [[registry]] the one of its prefix. The read throws failed-precondition, naming the file and line of a mistake.
 */
export function registriesConf(file: string, recordedAliases: string): () => RegistriesConf {
  const files = new ParsedFiles(parseRegistriesFile)
  return () => {
    const found = [file, ...dropIns(`${file}.d`)].flatMap((path) => {
      const content = files.read(path)
      return content === undefined ? [] : [{ path, ...content }]
    })
    const recorded = files.read(recordedAliases)
    const searching = found.findLast(({ searchRegistries }) => searchRegistries !== undefined)
    const registries = found.flatMap((each) => each.registries)
    return {
      searchRegistries: searching?.searchRegistries,
      searchMode:
        found.findLast(({ shortNameMode }) => shortNameMode !== undefined)?.shortNameMode ?? 'permissive',
      searchFile: searching?.path ?? file,
      credentialHelpers: found.findLast((each) => each.credentialHelpers)?.credentialHelpers ?? [AUTH_FILES],
      aliases: new Map([...found, ...(recorded ? [recorded] : [])].flatMap(({ aliases }) => [...aliases])),
      registries: [...new Map(registries.map((table) => [table.prefix, table])).values()],
    }
  }
}

const dropIns = (directory: string): readonly string[] =>
  namesIn(directory)
    .filter((name) => name.endsWith('.conf'))
    .toSorted()
    .map((name) => join(directory, name))

import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { z } from 'zod'
import { CriError, describeError, errnoOf } from '#lib/errors.ts'
import { newestSpecVersion, type SpecVersion, specVersions } from './spec-version.ts'

const SIZE_LIMIT_BYTES = 2 << 20
const EXTENSIONS = ['.conflist', '.conf', '.json']

export const pluginSchema = z.looseObject({
  type: z.string().regex(/^[^/\0]+$/, 'must be the file name of a plugin, without a directory'),
  capabilities: z.record(z.string(), z.boolean()).optional(),
})
/** One plugin's part of a configuration: what is not known here is passed on to it. */
export type PluginConfig = Readonly<z.infer<typeof pluginSchema>>

/** A network configuration list (CNI SPEC, section 1), its version negotiated. */
export interface NetworkConfig {
  readonly name: string
  readonly cniVersion: SpecVersion
  readonly disableCheck: boolean
  readonly disableGC: boolean
  readonly plugins: readonly PluginConfig[]
}

/**
 * The network configuration in `confDir`: the first file by name decides, as in containerd. Were a broken
 * one skipped, a half-written file would for a moment put pods on another network.
 * It is read anew each time (0.3 ms): so no change is missed, whether the directory is replaced or comes later.
 * Throws unavailable, naming the directory, the files seen and what is wrong with each.
 */
export async function readNetworkConfig(confDir: string): Promise<NetworkConfig> {
  const seen = await list(confDir)
  const files = seen.filter((name) => EXTENSIONS.includes(extname(name)))
  const [first] = files
  if (first === undefined) throw noConfig(confDir, seen)
  try {
    return await readConfigFile(confDir, first)
  } catch {
    const verdicts = await Promise.all(files.map((file) => verdictOn(confDir, file)))
    throw new CriError(
      'unavailable',
      `the network configuration in ${confDir} cannot be used, its first file by name decides and is not valid: ${verdicts.join('; ')}`,
    )
  }
}

function noConfig(confDir: string, seen: readonly string[]): CriError {
  const files = seen.length === 0 ? 'it is empty or does not exist' : `files seen: ${seen.join(', ')}`
  return new CriError(
    'unavailable',
    `no network configuration in ${confDir} (${files}): install a CNI network there as *.conflist, *.conf or *.json`,
  )
}

async function verdictOn(confDir: string, file: string): Promise<string> {
  try {
    await readConfigFile(confDir, file)
    return `${file}: valid`
  } catch (error) {
    return `${file}: ${describeError(error)}`
  }
}

async function readConfigFile(confDir: string, file: string): Promise<NetworkConfig> {
  const content = await readJson(join(confDir, file))
  if (extname(file) !== '.conflist') return parseSingleConfig(content)
  const parsed = parseWith(listSchema, content)
  // libcni 1.3: a network's plugins may also be files of their own, DIR/NAME/*.conf.
  const folder = join(confDir, parsed.name)
  const names = parsed.loadOnlyInlinedPlugins ? [] : await list(folder)
  const files = names.filter((name) => extname(name) === '.conf').map((name) => join(folder, name))
  const loaded = await Promise.all(files.map(async (path) => parseWith(pluginSchema, await readJson(path))))
  return toNetworkConfig({ ...parsed, plugins: [...(parsed.plugins ?? []), ...loaded] })
}

const flag = z.union([z.boolean(), z.stringbool({ truthy: ['true'], falsy: ['false'] })]).default(false)
const headSchema = z.looseObject({
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 'must be letters, digits, _ . -'),
  cniVersion: z.string().optional(),
  cniVersions: z.array(z.string()).optional(),
})
const listSchema = headSchema.extend({
  disableCheck: flag,
  disableGC: flag,
  loadOnlyInlinedPlugins: flag,
  plugins: z.array(pluginSchema).optional(),
})

/** A file of one plugin, the form before lists. */
function parseSingleConfig(content: unknown): NetworkConfig {
  if (z.looseObject({ plugins: z.unknown() }).safeParse(content).data?.plugins !== undefined) {
    throw new Error('it is a list of plugins: name it *.conflist')
  }
  const head = parseWith(headSchema, content)
  return toNetworkConfig({
    ...head,
    disableCheck: false,
    disableGC: false,
    plugins: [parseWith(pluginSchema, content)],
  })
}

interface Parsed extends Omit<NetworkConfig, 'cniVersion'> {
  readonly cniVersion?: string | undefined
  readonly cniVersions?: readonly string[] | undefined
}

function toNetworkConfig(parsed: Parsed): NetworkConfig {
  if (parsed.plugins.length === 0) throw new Error('plugins: it lists none')
  const offered = [...(parsed.cniVersions ?? []), ...(parsed.cniVersion ? [parsed.cniVersion] : [])]
  const cniVersion = newestSpecVersion(offered)
  if (cniVersion === undefined) {
    throw new Error(
      `cniVersion: ${offered.join(', ') || 'missing'}; those spoken here are ${specVersions.join(', ')}`,
    )
  }
  const { name, disableCheck, disableGC, plugins } = parsed
  return { name, cniVersion, disableCheck, disableGC, plugins }
}

/** Parses foreign data, and names every field that is wrong in one line. */
export function parseWith<Schema extends z.ZodType>(schema: Schema, content: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(content)
  if (parsed.success) return parsed.data
  throw new Error(
    parsed.error.issues
      .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
      .join(', '),
  )
}

async function readJson(path: string): Promise<unknown> {
  const { size } = await stat(path)
  if (size > SIZE_LIMIT_BYTES) throw new Error(`it is larger than ${SIZE_LIMIT_BYTES >> 20} MiB`)
  return JSON.parse(await readFile(path, 'utf8'))
}

/** The names of a directory's files, sorted; none where there is no such directory. */
async function list(directory: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name)
      .sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw new CriError('unavailable', `cannot read the directory ${directory}`, { cause: error })
  }
}

import { resolve } from 'node:path'
import { durationMs } from '#lib/duration.ts'
import { invalidArgument } from '#lib/errors.ts'
import type { KeyPath } from '#lib/key-lines.ts'
import { nearestName } from '#lib/names.ts'
import type { ConfinementSettings } from '#runtime/confinement.ts'
import type { ContainerDefaults } from '#runtime/container-defaults.ts'
import type { HandlerSettings } from '#runtime/handler.ts'
import type { MountSettings } from '#runtime/mount-settings.ts'
import { confinementSettings } from './confinement-schema.ts'
import { containerDefaults } from './defaults-schema.ts'
import { handlerContradictions, handlerSettings } from './handler-schema.ts'
import { type ImageSettings, imageContradictions, imageSettings } from './image-schema.ts'
import { type Layer, merged, originOf, readLayers } from './layers.ts'
import { type MetricsSettings, metricsSettings } from './metrics-schema.ts'
import { mountSettings } from './mount-schema.ts'
import { problemsOf } from './problems.ts'
import { configSchema, type FileConfig } from './schema.ts'

/** The daemon's configuration. Paths are absolute and normal; what each key means stands in config/schema.ts. */
export interface Config {
  readonly root: string
  readonly state: string
  /** A path, whether it was given as one or as a unix:// URL. */
  readonly listen: string
  readonly logLevel: FileConfig['log_level']
  readonly logFormat: FileConfig['log_format']
  readonly cni: {
    readonly confDir: string
    readonly binDirs: readonly string[]
    readonly gc: readonly string[]
  }
  readonly runtime: {
    /** `auto`, or the name of one of `handlers`. */
    readonly defaultHandler: string
    /** An absolute path, or a name to be found in PATH. */
    readonly monitor: string
    readonly cgroupDriver: FileConfig['runtime']['cgroup_driver']
    readonly defaults: ContainerDefaults
    readonly cdiSpecDirs: readonly string[]
    readonly blockioConfig: string | undefined
    readonly hooksDirs: readonly string[]
    readonly mounts: MountSettings
    readonly confinement: ConfinementSettings
    readonly disableApparmor: boolean
    readonly enableSelinux: boolean
    readonly handlers: { readonly [name: string]: HandlerSettings }
  }
  readonly image: ImageSettings
  readonly metrics: MetricsSettings
  readonly streaming: {
    readonly address: string
    readonly port: number
    readonly tls: StreamingTls | undefined
    /** 0: never. */
    readonly idleTimeoutMs: number
  }
}

export interface StreamingTls {
  readonly certFile: string
  readonly keyFile: string
  readonly minVersion: FileConfig['streaming']['tls_min_version']
}

/** What the command line sets; each goes over the files. */
export interface ConfigFlags {
  readonly config?: string
  readonly root?: string
  readonly state?: string
  readonly listen?: string
  readonly logLevel?: string
}

export interface LoadedConfig {
  readonly config: Config
  /** The same as a file would say it, defaults and all. */
  readonly asFile: FileConfig
  /** The files that were read, the last one has the last word. */
  readonly files: readonly string[]
  /** Where a key's value comes from: `FILE:LINE`, a flag, or undefined for a default. */
  origin(path: KeyPath): string | undefined
}

/** Node's timers hold no more: 24 days, which is as good as for ever. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
const DEFAULT_FILE = '/etc/cri-ts/config.toml'
const BUILT_IN = { runtime: { handlers: { crun: {}, runc: {} } } }

/**
 * Reads the file (absent = defaults), its drop-ins and the flags, and checks each by itself and all together.
 * Throws invalid-argument with a line for every problem, failed-precondition when a file can't be read.
 */
export function loadConfig(flags: ConfigFlags = {}, defaultFile: string = DEFAULT_FILE): LoadedConfig {
  const file = flags.config === undefined ? defaultFile : resolve(flags.config)
  const files = readLayers(file, flags.config !== undefined)
  const layers: readonly Layer[] = [...files, flagLayer(flags)]
  refuse(
    layers.flatMap((layer) => problemsOf(configSchema.safeParse(layer.table).error?.issues ?? [], layer)),
  )

  const builtIn: Layer = { table: BUILT_IN, where: () => 'default' }
  const asFile = configSchema.parse(merged([builtIn, ...layers]))
  const origin = (path: KeyPath): string | undefined => originOf(layers, path)
  refuse(contradictions(asFile).map(([path, message]) => `${origin(path) ?? 'the default'}: ${message}`))
  return { config: toConfig(asFile), asFile, files: files.map(({ file }) => file), origin }
}

/** What a configuration says when nobody sets anything. */
export const defaultFileConfig = (): FileConfig => configSchema.parse(BUILT_IN)

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw invalidArgument(problems.join('\n'))
}

function flagLayer({ root, state, listen, logLevel }: ConfigFlags): Layer {
  const given = {
    root: root && resolve(root),
    state: state && resolve(state),
    // What has a scheme is judged as it is: no file name is meant.
    listen: listen && (listen.includes('://') ? listen : resolve(listen)),
    log_level: logLevel,
  }
  const table = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { table, where: ([name]) => `--${String(name).replace('_', '-')}` }
}

/** What is wrong only when keys are seen together: the key to blame, and what to do. */
function contradictions({ root, state, listen, runtime, image, streaming }: FileConfig): [KeyPath, string][] {
  const found: [KeyPath, string][] = []
  if (resolve(root) === resolve(state)) {
    found.push([
      ['state'],
      `state and root are both ${root}: state is emptied after a reboot, so set another`,
    ])
  }
  found.push(...imageContradictions(root, image))
  if (socketPath(listen) === resolve(state, 'admin.sock')) {
    found.push([['listen'], `listen is ${listen}, which is the admin socket: set another`])
  }
  if ((streaming.tls_cert === undefined) !== (streaming.tls_key === undefined)) {
    const [there, missing] =
      streaming.tls_key === undefined ? ['tls_cert', 'tls_key'] : ['tls_key', 'tls_cert']
    found.push([
      ['streaming', there],
      `streaming.${there} is set without streaming.${missing}: set both or none`,
    ])
  }
  for (const [name, table] of Object.entries(runtime.handlers))
    found.push(...handlerContradictions(name, table))
  const wanted = runtime.default_handler
  const names = Object.keys(runtime.handlers)
  if (wanted !== 'auto' && !names.includes(wanted)) {
    const nearest = nearestName(wanted, ['auto', ...names])
    const remedy = nearest === undefined ? '' : ` (did you mean "${nearest}"?)`
    found.push([
      ['runtime', 'default_handler'],
      `runtime.default_handler is "${wanted}"${remedy}: it must be "auto" or one of ${names.join(', ')}; others are added as [runtime.handlers.NAME]`,
    ])
  }
  return found
}

const socketPath = (listen: string): string => resolve(listen.replace(/^unix:\/\//, ''))

function toConfig(file: FileConfig): Config {
  const { cni, runtime, image, streaming } = file
  const handlers = Object.entries(runtime.handlers).map(([name, table]) => [
    name,
    handlerSettings(name, table),
  ])
  return {
    root: resolve(file.root),
    state: resolve(file.state),
    listen: socketPath(file.listen),
    logLevel: file.log_level,
    logFormat: file.log_format,
    cni: { confDir: resolve(cni.conf_dir), binDirs: cni.bin_dirs.map((path) => resolve(path)), gc: cni.gc },
    runtime: {
      defaultHandler: runtime.default_handler,
      monitor: runtime.monitor,
      cgroupDriver: runtime.cgroup_driver,
      defaults: containerDefaults(runtime),
      hooksDirs: runtime.hooks_dirs.map((directory) => resolve(directory)),
      cdiSpecDirs: runtime.cdi_spec_dirs.map((directory) => resolve(directory)),
      blockioConfig: runtime.blockio_config,
      mounts: mountSettings(runtime),
      confinement: confinementSettings(runtime),
      disableApparmor: runtime.disable_apparmor,
      enableSelinux: runtime.enable_selinux,
      handlers: Object.fromEntries(handlers),
    },
    image: imageSettings(image),
    metrics: metricsSettings(file.metrics),
    streaming: {
      address: streaming.address,
      port: streaming.port,
      tls: streamingTls(streaming),
      idleTimeoutMs: Math.min(durationMs(streaming.idle_timeout) ?? 0, LONGEST_TIMER_MS),
    },
  }
}

function streamingTls({
  tls_cert,
  tls_key,
  tls_min_version,
}: FileConfig['streaming']): StreamingTls | undefined {
  if (tls_cert === undefined || tls_key === undefined) return undefined
  return { certFile: resolve(tls_cert), keyFile: resolve(tls_key), minVersion: tls_min_version }
}

import { posix } from 'node:path'
import type { BaseSpec } from '../handler.ts'
import type { OciDeviceRule, OciMount, OciSpec } from './oci-spec.ts'

/**
 * A container's config.json on top of its handler's base spec. What the request or cri-ts says wins; what neither
 * speaks of is the base's. Who the container is and how it is confined is the request's alone: see `REQUESTS_OWN`.
 */
export function onBaseSpec(base: BaseSpec | undefined, spec: OciSpec): OciSpec {
  if (base === undefined) return spec
  const merged = mergedObjects(withoutRequestsOwn(base), spec) as OciSpec
  const { process, linux } = spec
  return {
    ...merged,
    ...mergedHooks(base, spec),
    process: {
      ...merged.process,
      env: byKey(nameOfVariable, base.process?.env ?? [], process.env),
      // The request has none: these are the operator's own, before the daemon's.
      rlimits: byKey(
        ({ type }) => type,
        process.rlimits,
        (base.process?.rlimits ?? []) as typeof process.rlimits,
      ),
    },
    mounts: mergedMounts((base.mounts ?? []) as readonly OciMount[], spec.mounts),
    linux: { ...merged.linux, ...mergedLinux(base, linux) },
  }
}

function mergedLinux({ linux: base = {} }: BaseSpec, linux: OciSpec['linux']): Partial<OciSpec['linux']> {
  const resources = mergedObjects(base.resources ?? {}, linux.resources) as OciSpec['linux']['resources']
  const pages = [base.resources?.hugepageLimits ?? [], linux.resources.hugepageLimits ?? []] as const
  const namespaces = (base.namespaces ?? []) as typeof linux.namespaces
  return {
    namespaces: [...linux.namespaces, ...namespaces.filter(({ type }) => !KNOWN_NAMESPACES.has(type))],
    devices: byKey(({ path }) => path, (base.devices ?? []) as typeof linux.devices, linux.devices),
    resources: {
      ...resources,
      devices: mergedRules(
        (base.resources?.devices ?? []) as readonly OciDeviceRule[],
        linux.resources.devices ?? [],
      ),
      ...(pages.flat().length === 0
        ? {}
        : {
            hugepageLimits: byKey(
              ({ pageSize }) => pageSize,
              ...pages,
            ) as typeof linux.resources.hugepageLimits,
          }),
    },
  }
}

/** Those that a request decides on, by having them or not. */
const KNOWN_NAMESPACES: ReadonlySet<string> = new Set([
  'mount',
  'pid',
  'network',
  'ipc',
  'uts',
  'user',
  'cgroup',
])

/** Never taken from a base: the request's silence about them is an answer. */
const REQUESTS_OWN = [
  ...['ociVersion', 'hostname', 'domainname', 'root'],
  ...['process.user', 'process.args', 'process.cwd', 'process.terminal', 'process.consoleSize'],
  ...['process.capabilities', 'process.apparmorProfile', 'process.selinuxLabel'],
  ...['linux.seccomp', 'linux.mountLabel', 'linux.uidMappings', 'linux.gidMappings'],
  ...['linux.maskedPaths', 'linux.readonlyPaths', 'linux.cgroupsPath', 'linux.rootfsPropagation'],
]

function withoutRequestsOwn(base: BaseSpec): object {
  const keep = (value: object, prefix: string): object =>
    Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => !REQUESTS_OWN.includes(`${prefix}${key}`))
        .map(([key, inner]) => [key, isObject(inner) && prefix === '' ? keep(inner, `${key}.`) : inner]),
    )
  return keep(base, '')
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Objects key by key, at any depth; of anything else the later. */
function mergedObjects(base: object, over: object): object {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key]
    merged[key] = isObject(under) && isObject(value) ? mergedObjects(under, value) : value
  }
  return merged
}

/** One of each key, the later at the place of the earlier. */
function byKey<Item>(keyOf: (item: Item) => string, ...lists: readonly (readonly Item[])[]): readonly Item[] {
  return [...new Map(lists.flat().map((item) => [keyOf(item), item])).values()]
}

const nameOfVariable = (entry: string): string => entry.split('=', 1)[0] ?? entry

/** Parents before children. Where the request mounts a /dev of its own, a base has nothing to add to it. */
function mergedMounts(base: readonly OciMount[], mounts: readonly OciMount[]): readonly OciMount[] {
  const clean = ({ destination }: OciMount): string => posix.resolve('/', destination)
  const depth = (mount: OciMount): number => clean(mount).split('/').filter(Boolean).length
  const taken = new Set(mounts.map(clean))
  const ownDev = mounts.some((mount) => clean(mount) === '/dev' && mount.type === 'bind')
  const rest = base.filter(
    (mount) => !taken.has(clean(mount)) && !(ownDev && clean(mount).startsWith('/dev/')),
  )
  return rest.length === 0 ? mounts : [...rest, ...mounts].toSorted((a, b) => depth(a) - depth(b))
}

/**
 * Rules count in their order. The request's first one is about every device; a base's rules about some come after it,
 * then the request's own. Where every device is allowed none is needed.
 */
function mergedRules(
  base: readonly OciDeviceRule[],
  rules: readonly OciDeviceRule[],
): readonly OciDeviceRule[] {
  const [everyDevice, ...rest] = rules
  if (everyDevice === undefined || everyDevice.allow) return rules
  return [everyDevice, ...base.filter(({ major }) => major !== undefined), ...rest]
}

/** The base's run first. */
function mergedHooks({ hooks: base }: BaseSpec, { hooks }: OciSpec): Pick<OciSpec, 'hooks'> {
  if (base === undefined) return {}
  const own: NonNullable<BaseSpec['hooks']> = { ...hooks }
  const stages = new Set([...Object.keys(base), ...Object.keys(own)])
  const all = [...stages].map((stage) => [stage, [...(base[stage] ?? []), ...(own[stage] ?? [])]])
  return { hooks: Object.fromEntries(all) as NonNullable<OciSpec['hooks']> }
}

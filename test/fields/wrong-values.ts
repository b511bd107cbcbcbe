/** What a field may not be, or why anything it can hold is right. */
export type WrongRow =
  | WrongValues
  | { readonly any: string }
  /** The test that has them: a file, and words of the test's name. */
  | { readonly elsewhere: string; readonly test: string }

export interface WrongValues {
  readonly wrong: readonly unknown[]
  /** What makes them wrong, or the rest of the request right: values by path. */
  readonly beside?: { readonly [path: string]: unknown }
}

/** By the paths of the fields, as `apiFields` has them. */
export type WrongTable = { readonly [path: string]: WrongRow }

export const wrong = (...values: readonly unknown[]): WrongValues => ({ wrong: values })
export const any = (why: string): WrongRow => ({ any: why })
export const either = any('true and false both say something')

/** A table whose paths lie below another. */
export const below = (prefix: string, table: WrongTable): WrongTable =>
  Object.fromEntries(Object.entries(table).map(([path, row]) => [`${prefix}.${path}`, row]))

/** Of a LinuxContainerResources at the path. */
export const wrongResources = (at: string): WrongTable =>
  below(at, {
    cpu_period: wrong(10, -1, 1_000_001),
    cpu_quota: wrong(-2, 999),
    cpu_shares: wrong(1, 262_145, -2),
    memory_limit_in_bytes: wrong(-2, '9223372036854775807'),
    memory_swap_limit_in_bytes: wrong(-2, '9223372036854775807'),
    oom_score_adj: wrong(1001, -1001),
    cpuset_cpus: wrong('x', '1-', '0 1', '0\n'),
    cpuset_mems: wrong('x', '-1'),
    'hugepage_limits.page_size': { wrong: ['', '2', 'MB', '2mb'], beside: besideHugepages(at) },
    'hugepage_limits.limit': { wrong: ['18446744073709551615'], beside: besideHugepages(at) },
    unified: wrong({ '../x': '1' }, { memory: '1' }, { 'memory.high': '' }, { 'memory.high': '1\n2' }),
  })

const besideHugepages = (at: string) => ({ [`${at}.hugepage_limits`]: [{ page_size: '2MB', limit: 0 }] })

/** One id more than there are: uids and gids have 32 bits, and the last is none. */
const NO_ID = 2 ** 32 - 1
const mapping = { container_id: 0, host_id: 100_000, length: 65_536 }
const userNamespace = { mode: 0, uids: [mapping], gids: [mapping] }

/** Of a NamespaceOption at the path. */
export function wrongNamespaces(at: string): WrongTable {
  const besideUser = { [`${at}.pid`]: 1, [`${at}.userns_options`]: userNamespace }
  const wrongMapping = (part: string): WrongTable =>
    below(`userns_options.${part}`, {
      host_id: { wrong: [NO_ID], beside: besideUser },
      container_id: { wrong: [NO_ID, 5], beside: besideUser },
      length: { wrong: [0], beside: besideUser },
    })
  return below(at, {
    network: wrong(4, -1, 1, 3),
    pid: wrong(4, -1),
    ipc: wrong(4, 1, 3),
    'userns_options.mode': { wrong: [1, 3, 4], beside: besideUser },
    ...wrongMapping('uids'),
    ...wrongMapping('gids'),
  })
}

/** Of mappings of a mount. */
export const wrongMountMappings = (at: string, part: 'uidMappings' | 'gidMappings'): WrongTable => {
  const beside = { [`${at}.uidMappings`]: [mapping], [`${at}.gidMappings`]: [mapping] }
  return below(`${at}.${part}`, {
    host_id: { wrong: [NO_ID], beside },
    container_id: { wrong: [NO_ID], beside },
    length: { wrong: [0], beside },
  })
}

/** Of an SELinuxOption at the path. */
export const wrongSelinux = (at: string): WrongTable =>
  below(at, {
    user: wrong('a b', 'u:r'),
    role: wrong('../x'),
    type: wrong('spc t'),
    level: wrong('c1', 's0:', 's0:c'),
  })

/** Of a SecurityProfile at the path. */
export const wrongProfile = (at: string, reference: readonly string[]): WrongTable =>
  below(at, {
    profile_type: wrong(3, -1),
    localhost_ref: { wrong: ['', ...reference], beside: { [`${at}.profile_type`]: 2 } },
  })

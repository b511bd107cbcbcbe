import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { type HostEntry, parseHostsFile } from './hosts-file.ts'
import { hostOfRegistry, isLoopback, type RegistryEndpoint, servesRegistry } from './registry-endpoint.ts'

/** containerd's and podman's directories, in the order in which they are looked into. */
export const DEFAULT_REGISTRIES_DIRS = ['/etc/containers/certs.d', '/etc/containerd/certs.d']

/**
 * The endpoints to be tried for a registry, in order, as the directories say now (containerd, docs/hosts.md):
 * DIR/host_port_/ or DIR/host:port/, else DIR/_default/, each with a hosts.toml or with Docker's *.crt, *.cert, *.key.
 * Without any: the registry itself, by https. Throws failed-precondition naming the file that cannot be used.
 */
export async function registryEndpoints(
  registry: string,
  directories: readonly string[],
): Promise<readonly RegistryEndpoint[]> {
  for (const name of [...directoryNames(registry), '_default']) {
    for (const directory of directories) {
      const found = join(directory, name)
      const entries = (await readHostsFile(found)) ?? (await readCertificateFiles(found))
      if (entries === undefined) continue
      return Promise.all(entries.map((entry) => toEndpoint(registry, entry, found)))
    }
  }
  const unconfigured = join(directories[0] ?? '', registry)
  return [await toEndpoint(registry, { ...ownHost, clientFiles: [], caFiles: [] }, unconfigured)]
}

const ownHost: HostEntry = {
  root: undefined,
  canPull: true,
  canResolve: true,
  caFiles: [],
  clientFiles: [],
  skipVerify: undefined,
  headers: {},
  dialTimeoutMs: undefined,
}

function directoryNames(registry: string): readonly string[] {
  const [, host, port] = /^(.+):(\d+)$/.exec(registry) ?? []
  return host === undefined ? [registry] : [`${host}_${port}_`, registry]
}

async function readHostsFile(directory: string): Promise<readonly HostEntry[] | undefined> {
  const file = join(directory, 'hosts.toml')
  try {
    const text = await readFile(file, 'utf8')
    return text.trim() === '' ? undefined : parseHostsFile(text, file)
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw thrown instanceof CriError ? thrown : unreadable(file, thrown)
  }
}

/** Docker's layout: *.crt are authorities, NAME.cert and NAME.key a client's certificate and key. */
async function readCertificateFiles(directory: string): Promise<readonly HostEntry[] | undefined> {
  const names = await readdir(directory).catch((thrown: unknown) => {
    if (isAbsence(thrown)) return [] as string[]
    throw unreadable(directory, thrown)
  })
  const caFiles = names.filter((name) => name.endsWith('.crt')).toSorted()
  const clientFiles = names
    .filter((name) => name.endsWith('.cert'))
    .toSorted()
    .map((certificate): [string, string] => {
      const key = certificate.replace(/\.cert$/, '.key')
      return [certificate, names.includes(key) ? key : '']
    })
  if (caFiles.length + clientFiles.length === 0) return undefined
  return [{ ...ownHost, caFiles, clientFiles }]
}

async function toEndpoint(registry: string, entry: HostEntry, directory: string): Promise<RegistryEndpoint> {
  const { root, local } = entry.root === undefined ? ownRoot(registry) : { root: entry.root, local: false }
  const skipVerify = entry.skipVerify ?? local
  const hasTls = entry.skipVerify !== undefined || entry.caFiles.length + entry.clientFiles.length > 0
  // http beside TLS settings is ambiguous, and so is a local port: containerd asks by https first.
  const plainHttpFallback = root.port !== '' && (local || (root.protocol === 'http:' && hasTls))
  if (plainHttpFallback) root.protocol = 'https:'
  const read = (name: string) => readPem(resolve(directory, name))
  return {
    root,
    isMirror: !servesRegistry(root, registry),
    canPull: entry.canPull,
    canResolve: entry.canResolve,
    headers: entry.headers,
    tls: {
      caPems: await Promise.all(entry.caFiles.map(read)),
      client: await Promise.all(
        entry.clientFiles.map(async ([certificate, key]) => ({
          certPem: await read(certificate),
          keyPem: await read(key === '' ? certificate : key),
        })),
      ),
      skipVerify,
    },
    connectTimeoutMs: entry.dialTimeoutMs,
    plainHttpFallback,
    hostsFile: join(directory, 'hosts.toml'),
  }
}

/** The registry's own API. A local one on a port of its own is asked by https, unverified, then by http. */
function ownRoot(registry: string): { root: URL; local: boolean } {
  const root = new URL(`https://${hostOfRegistry(registry)}/v2`)
  if (!isLoopback(root.hostname)) return { root, local: false }
  if (root.port === '80') return { root: new URL(`http://${registry}/v2`), local: false }
  return { root, local: true }
}

async function readPem(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw unreadable(file, thrown)
  })
  if (/-----BEGIN [A-Z0-9 ]+-----/.test(text)) return text
  throw new CriError('failed-precondition', `${file} holds no PEM: certificates and keys are given as PEM`)
}

const isAbsence = (thrown: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(errnoOf(thrown) ?? '')

const unreadable = (file: string, cause: unknown) =>
  new CriError('failed-precondition', `registry configuration ${file} cannot be read`, { cause })

import { join, resolve } from 'node:path'
import { CriError } from '#lib/errors.ts'
import { type HostEntry, parseHostsFile } from './hosts-file.ts'
import { namesIn, ParsedFiles, unreadable } from './parsed-files.ts'
import type { ImageLocation } from './registries-locations.ts'
import { hostOfRegistry, isLoopback, type RegistryEndpoint, servesRegistry } from './registry-endpoint.ts'

/** containerd's and podman's directories, in the order in which they are looked into. */
export const DEFAULT_REGISTRIES_DIRS = ['/etc/containers/certs.d', '/etc/containerd/certs.d']

/** Answers the endpoints of a place, in the order in which they are to be asked; throws failed-precondition. */
export type HostEndpoints = (location: ImageLocation) => readonly RegistryEndpoint[]

/**
 * The endpoints of registries as the directories say at each call (containerd, docs/hosts.md):
 * DIR/host_port_/ or DIR/host:port/, else DIR/_default/, each with a hosts.toml or with Docker's *.crt, *.cert, *.key.
 * Without any: the registry itself, by https. A file that cannot be used is named in what is thrown.
 */
export function hostEndpoints(directories: readonly string[]): HostEndpoints {
  const hostsFiles = new ParsedFiles((text, file) =>
    text.trim() === '' ? undefined : parseHostsFile(text, file),
  )
  const pems = new ParsedFiles(checkPem)
  return (location) => {
    for (const name of [...directoryNames(location.registry), '_default']) {
      for (const directory of directories) {
        const found = join(directory, name)
        const entries = hostsFiles.read(join(found, 'hosts.toml')) ?? readCertificateFiles(found)
        if (entries !== undefined) return entries.map((entry) => toEndpoint(location, entry, found, pems))
      }
    }
    const unconfigured = join(directories[0] ?? '', location.registry)
    return [toEndpoint(location, ownHost, unconfigured, pems)]
  }
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
  proxy: undefined,
  source: '',
}

function directoryNames(registry: string): readonly string[] {
  const [, host, port] = /^(.+):(\d+)$/.exec(registry) ?? []
  return host === undefined ? [registry] : [`${host}_${port}_`, registry]
}

/** Docker's layout: *.crt are authorities, NAME.cert and NAME.key a client's certificate and key. */
function readCertificateFiles(directory: string): readonly HostEntry[] | undefined {
  const names = namesIn(directory)
  const caFiles = names.filter((name) => name.endsWith('.crt')).toSorted()
  const clientFiles = names
    .filter((name) => name.endsWith('.cert'))
    .toSorted()
    .map((certificate): [string, string] => {
      const key = certificate.replace(/\.cert$/, '.key')
      return [certificate, names.includes(key) ? key : '']
    })
  if (caFiles.length + clientFiles.length === 0) return undefined
  return [{ ...ownHost, caFiles, clientFiles, source: `${directory}/` }]
}

function toEndpoint(
  location: ImageLocation,
  entry: HostEntry,
  directory: string,
  pems: ParsedFiles<string>,
): RegistryEndpoint {
  const { registry, repository } = location
  const { root, local } =
    entry.root === undefined ? ownRoot(registry) : { root: new URL(entry.root), local: false }
  const isOwn = servesRegistry(root, registry)
  const insecure = isOwn && location.insecure
  // http beside TLS settings is ambiguous, and so is a local port: containerd asks by https first.
  const ambiguous = root.port !== '' && (local || (root.protocol === 'http:' && hasTlsSettings(entry)))
  if (ambiguous) root.protocol = 'https:'
  const read = (name: string) => readPem(resolve(directory, name), pems)
  return {
    ...{ root, registry, repository },
    isMirror: location.isMirror || !isOwn,
    namespace: isOwn ? undefined : registry,
    canPull: entry.canPull,
    canResolve: entry.canResolve,
    headers: entry.headers,
    tls: {
      caPems: entry.caFiles.map(read),
      client: entry.clientFiles.map(([certificate, key]) => ({
        certPem: read(certificate),
        keyPem: read(key === '' ? certificate : key),
      })),
      skipVerify: entry.skipVerify ?? (local || insecure),
    },
    connectTimeoutMs: entry.dialTimeoutMs,
    proxy: entry.proxy,
    plainHttpFallback: ambiguous || (insecure && root.protocol === 'https:'),
    hostsFile: join(directory, 'hosts.toml'),
    source: [location.source, entry.source].filter(Boolean).join(', '),
  }
}

const hasTlsSettings = ({ skipVerify, caFiles, clientFiles }: HostEntry): boolean =>
  skipVerify !== undefined || caFiles.length + clientFiles.length > 0

/** The registry's own API. A local one on a port of its own is asked by https, unverified, then by http. */
function ownRoot(registry: string): { root: URL; local: boolean } {
  const root = new URL(`https://${hostOfRegistry(registry)}/v2`)
  if (!isLoopback(root.hostname)) return { root, local: false }
  if (root.port === '80') return { root: new URL(`http://${registry}/v2`), local: false }
  return { root, local: true }
}

function readPem(file: string, pems: ParsedFiles<string>): string {
  const pem = pems.read(file)
  if (pem === undefined) throw unreadable(file, new Error('ENOENT: there is no such file'))
  return pem
}

function checkPem(text: string, file: string): string {
  if (/-----BEGIN [A-Z0-9 ]+-----/.test(text)) return text
  throw new CriError('failed-precondition', `${file} holds no PEM: certificates and keys are given as PEM`)
}

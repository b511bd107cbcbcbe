import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BuiltImage } from '#test/fixtures/image.ts'
import { pushImage } from '#test/fixtures/push-image.ts'
import { makeCertificates, type TestCertificates } from './registry-certificates.ts'
import {
  startTokenServer,
  TOKEN_ISSUER,
  TOKEN_SERVICE,
  type TokenServer,
  type TokenUser,
} from './token-server.ts'

export interface RegistryOptions {
  /** https, by a certificate for 127.0.0.1 and registry.test of an authority made for the test. */
  readonly tls?: boolean
  /** With `tls`: clients have to show a certificate of that authority. */
  readonly clientCertificates?: boolean
  /** Basic authorization. */
  readonly htpasswd?: { readonly username: string; readonly password: string }
  /** With `tls`: a token server beside it, whose tokens it wants. */
  readonly tokens?: TokenUser
  /** A directory for what is pushed, which stays when the registry ends. */
  readonly data?: string
  /** Where its blobs are to be had: it redirects there, with their path below `data`. */
  readonly blobsAt?: string
}

/** Debian's docker-registry, for one test: it ends, and its files go, with it. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** `https://127.0.0.1:PORT` */
  readonly url: string
  /** With `tls`. */
  readonly certificates: TestCertificates | undefined
  /** With `tokens`. */
  readonly tokenServer: TokenServer | undefined
  /** Puts an image, or an index of several, into it, past its authorization. */
  push(
    repository: string,
    tag: string,
    images: BuiltImage | readonly BuiltImage[],
  ): Promise<{ digest: string }>
}

const START_LIMIT_MS = 10_000

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  await using undo = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-registry-'))
  undo.defer(() => rmSync(directory, { recursive: true, force: true }))
  const certificates = options.tls ? makeCertificates(directory) : undefined
  const { data = join(directory, 'data') } = options
  const files = { directory, data }
  const tokenServer =
    options.tokens && certificates && undo.use(await startTokenServer(certificates, options.tokens))
  const more = {
    ...authPart(options, directory),
    ...tokenPart(tokenServer, certificates),
    ...redirectPart(options),
  }
  const served = undo.use(await serve(files, 'registry', { ...tlsPart(options, certificates) }, more))
  const resources = undo.move()
  return {
    host: served.host,
    url: `${options.tls ? 'https' : 'http'}://${served.host}`,
    ...{ certificates, tokenServer },
    async push(repository, tag, images) {
      // A second one on the same files: what it stores is the first one's, too.
      await using open = await serve(files, 'push', {}, {})
      return await pushImage(`http://${open.host}`, repository, tag, images)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function tlsPart(options: RegistryOptions, certificates: TestCertificates | undefined): object {
  if (certificates === undefined) return {}
  const { server, caFile } = certificates
  const clientcas = options.clientCertificates ? { clientcas: [caFile] } : {}
  return { tls: { certificate: server.certFile, key: server.keyFile, ...clientcas } }
}

function authPart({ htpasswd }: RegistryOptions, directory: string): object {
  if (htpasswd === undefined) return {}
  const path = join(directory, 'htpasswd')
  // Of low cost: it is asked at every request.
  const line = execFileSync('htpasswd', ['-niB', '-C', '4', htpasswd.username], { input: htpasswd.password })
  writeFileSync(path, line)
  return { auth: { htpasswd: { realm: 'cri-ts test', path } } }
}

function tokenPart(server: TokenServer | undefined, certificates: TestCertificates | undefined): object {
  if (server === undefined) return {}
  const names = { issuer: TOKEN_ISSUER, service: TOKEN_SERVICE }
  return { auth: { token: { realm: server.realm, ...names, rootcertbundle: certificates?.caFile } } }
}

const redirectPart = ({ blobsAt }: RegistryOptions): object =>
  blobsAt === undefined
    ? {}
    : { middleware: { storage: [{ name: 'redirect', options: { baseurl: blobsAt } }] } }

async function serve(
  { directory, data }: { readonly directory: string; readonly data: string },
  name: string,
  http: object,
  auth: object,
): Promise<AsyncDisposable & { readonly host: string }> {
  mkdirSync(data, { recursive: true })
  const configFile = join(directory, `${name}.json`)
  const config = {
    version: 0.1,
    log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: data } },
    http: { addr: '127.0.0.1:0', ...http },
    ...auth,
  }
  writeFileSync(configFile, JSON.stringify(config))
  const process = spawn('docker-registry', ['serve', configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    return { host: await listeningAddress(process), [Symbol.asyncDispose]: () => end(process) }
  } catch (thrown) {
    await end(process)
    throw thrown
  }
}

/** From its log, which is then read and dropped. */
async function listeningAddress(process: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const seen: string[] = []
  const failed = (why: string) => reject(new Error(`docker-registry ${why}: ${seen.join('\n')}`))
  const timer = setTimeout(() => failed(`does not listen after ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS)
  process.once('error', ({ message }) =>
    failed(`cannot be started (apt-get install docker-registry): ${message}`),
  )
  process.once('exit', (code) => failed(`ended with ${code}`))
  if (process.stderr === null) throw new Error('docker-registry has no stderr')
  createInterface(process.stderr).on('line', (line) => {
    if (seen.length < 100) seen.push(line)
    const address = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (address !== undefined) resolve(address)
  })
  return promise.finally(() => clearTimeout(timer))
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null || process.pid === undefined) return
  const ended = once(process, 'exit')
  process.kill('SIGKILL')
  await ended
}

import { CriError, describeError, notFound } from '#lib/errors.ts'
import { KeyedMutex } from '#lib/keyed-mutex.ts'
import type { Log } from '#lib/log.ts'
import type { AttachRequest, NetworkStatus, PodNetwork } from '#runtime/ports.ts'
import { addAttachment, checkAttachment, deleteAttachment, type LockedAttachment } from './attachment.ts'
import { type Attachment, type AttachmentCache, createAttachmentCache } from './attachment-cache.ts'
import { capabilityArgs, cniArgs } from './capabilities.ts'
import { collectNetworkGarbage, mayCollectGarbage } from './garbage-collection.ts'
import { type NetworkConfig, readNetworkConfig } from './network-config.ts'
import { createNetworkStatus } from './network-status.ts'
import { createPlugins, type PluginOptions, type Plugins } from './plugin.ts'
import { podIps } from './result.ts'

const IF_NAME = 'eth0'
const DEFAULT_TIMEOUT_MS = 60_000

type Held = Disposable & { readonly fd: number }

export interface PodNetworkOptions extends Omit<PluginOptions, 'timeoutMs'> {
  readonly confDir: string
  /** Under root: what was added must be deleted after a reboot too. */
  readonly cacheDir: string
  readonly timeoutMs?: number
  /** Networks that no other runtime on this host uses: on them plugins may be sent GC. Default: none. */
  readonly gcNetworks?: readonly string[]
  /** The lock that a sandbox's plugins hold while they run: see linux/object-lock.ts. */
  readonly lock: (sandboxId: string) => Held | Promise<Held>
  readonly log: Log
  /** A monotonic clock, for how long a plugin's STATUS is believed. */
  readonly nowMs?: () => number
}

/** The pod network by CNI plugins, as the first configuration in `confDir` says, or in the request's. */
export class CniPodNetwork implements PodNetwork {
  /** Whether pods can be attached, and if not why; answers of plugins are some seconds old. */
  readonly status: () => Promise<NetworkStatus>
  readonly #options: PodNetworkOptions
  readonly #cache: AttachmentCache
  readonly #plugins: Plugins
  readonly #readConfig: () => Promise<NetworkConfig>
  /** Of the directories that requests name. */
  readonly #otherReaders = new Map<string, () => Promise<NetworkConfig>>()
  /** By network name: shared by ADD and DEL, alone for GC (CNI SPEC 1.1, section 2). */
  readonly #gate = new KeyedMutex()

  constructor(options: PodNetworkOptions) {
    const { confDir, cacheDir, timeoutMs = DEFAULT_TIMEOUT_MS, nowMs = () => performance.now() } = options
    this.#options = options
    this.#cache = createAttachmentCache(cacheDir)
    this.#plugins = createPlugins({ ...options, timeoutMs })
    this.#readConfig = reportingReader(confDir, options.log)
    this.status = createNetworkStatus(this.#readConfig, this.#plugins, nowMs)
  }

  async attach(request: AttachRequest): Promise<readonly string[]> {
    const network = await this.#readConfigIn(request.confDir)
    const asked: Attachment = {
      sandboxId: request.sandboxId,
      ifName: IF_NAME,
      netnsPath: request.netnsPath,
      cniArgs: cniArgs(request),
      capabilityArgs: capabilityArgs(request),
      network: { ...network, plugins: [...network.plugins] },
    }
    this.#plugins.requireInstalled(network) // Before anything is done that they would have to undo.
    using _shared = await this.#gate.acquireShared(network.name)
    using lock = await this.#options.lock(request.sandboxId)
    await this.#cache.write(asked)
    return await this.#addOrUndo({ attachment: asked, lockFd: lock.fd })
  }

  async detach(sandboxId: string, netnsPath: string | undefined): Promise<void> {
    const cached = await this.#cache
      .read(sandboxId)
      .catch((error: unknown) => this.#reconstruct(sandboxId, error))
    if (cached === undefined) return await this.#cache.remove(sandboxId)
    using _shared = await this.#gate.acquireShared(cached.network.name)
    using lock = await this.#options.lock(sandboxId)
    await this.#deleteAndForget({ attachment: { ...cached, netnsPath: netnsPath ?? '' }, lockFd: lock.fd })
  }

  /** CHECK: whether the attachment still is as ADD left it. Throws not-found when there is none. */
  async check(sandboxId: string, netnsPath: string): Promise<void> {
    const attachment = await this.#cache.read(sandboxId)
    if (attachment === undefined) throw notFound('CNI attachment of sandbox', sandboxId)
    using lock = await this.#options.lock(sandboxId)
    await checkAttachment(this.#plugins, { attachment: { ...attachment, netnsPath }, lockFd: lock.fd })
  }

  #readConfigIn(confDir: string | undefined): Promise<NetworkConfig> {
    if (confDir === undefined) return this.#readConfig()
    const read = this.#otherReaders.get(confDir) ?? reportingReader(confDir, this.#options.log)
    this.#otherReaders.set(confDir, read)
    return read()
  }

  leftovers(): Promise<readonly string[]> {
    return this.#cache.sandboxIds()
  }

  /**
   * Sends GC where that is allowed. What is still attached for a sandbox that is no more is valid too: its address may
   * be in use until its DEL. A sandbox must be in `validIds` from before its attach until after its detach.
   */
  async collectGarbage(validIds: () => Iterable<string>): Promise<void> {
    const { gcNetworks = [] } = this.#options
    if (gcNetworks.length === 0) return
    const network = await this.#readConfig()
    if (!mayCollectGarbage(network, gcNetworks)) return
    using _alone = await this.#gate.acquire(network.name)
    const valid = new Set([...(await this.leftovers()), ...validIds()])
    const attachments = [...valid].map((containerID) => ({ containerID, ifname: IF_NAME }))
    await collectNetworkGarbage(this.#plugins, network, attachments)
  }

  async #addOrUndo(locked: LockedAttachment): Promise<readonly string[]> {
    let known = locked.attachment
    try {
      await addAttachment(this.#plugins, locked, (result) => {
        known = { ...known, result }
      })
      const ips = podIps(known.result ?? {}, IF_NAME)
      if (ips.length === 0) throw noAddress(known)
      await this.#cache.write(known)
      return ips
    } catch (error) {
      await this.#deleteAndForget({ ...locked, attachment: known }).catch((undoError: unknown) => {
        // The caller learns what went wrong first; the cache is still there for its detach.
        this.#options.log.warn(
          { sandboxId: known.sandboxId, err: undoError },
          'a failed CNI ADD is not wholly undone',
        )
      })
      throw error
    }
  }

  async #deleteAndForget(locked: LockedAttachment): Promise<void> {
    await deleteAttachment(this.#plugins, locked)
    await this.#cache.remove(locked.attachment.sandboxId)
  }

  /** What an unreadable cache most likely held: enough for plugins to find what they keep by sandbox id. */
  async #reconstruct(sandboxId: string, error: unknown): Promise<Attachment> {
    this.#options.log.warn({ sandboxId, err: error }, 'detaching by the present CNI configuration')
    const network = await this.#readConfig().catch((cause: unknown) => {
      throw new CriError('unavailable', describeError(error), { cause })
    })
    const attachment = {
      sandboxId,
      ifName: IF_NAME,
      netnsPath: '',
      cniArgs: 'IgnoreUnknown=1',
      capabilityArgs: {},
    }
    return { ...attachment, network: { ...network, plugins: [...network.plugins] } }
  }
}

export const createPodNetwork = (options: PodNetworkOptions): CniPodNetwork => new CniPodNetwork(options)

/** Reads the configuration, and logs when it is another than the last time. */
function reportingReader(confDir: string, log: Log): () => Promise<NetworkConfig> {
  let last: string | undefined
  const report = (description: string, write: () => void): void => {
    if (description !== last) write()
    last = description
  }
  return async () => {
    try {
      const network = await readNetworkConfig(confDir)
      const { name, cniVersion } = network
      const plugins = network.plugins.map(({ type }) => type)
      report(JSON.stringify(network), () =>
        log.info({ network: name, cniVersion, plugins }, 'CNI network found'),
      )
      return network
    } catch (error) {
      report(describeError(error), () => log.warn({ err: error }, 'no CNI network'))
      throw error
    }
  }
}

const noAddress = ({ network, sandboxId }: Attachment): CriError =>
  new CriError(
    'internal',
    `network ${network.name}: the plugins' result has no address in sandbox ${sandboxId}: check the ipam of ${network.plugins.map(({ type }) => type).join(', ')}`,
  )

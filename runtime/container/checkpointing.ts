import { posix } from 'node:path'
import { CriError, invalidArgument, isNotFound } from '#lib/errors.ts'
import type { OpenedCheckpoint } from '../checkpoint-port.ts'
import type { OciSpec } from '../oci-spec/oci-spec.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { LocalImage } from '../ports.ts'
import type { ImageUse } from '../rootfs-port.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord, ContainerSpec } from './record.ts'

/** What kubelet waits for a call by default. */
const DEFAULT_TIMEOUT_MS = 120_000

/** The checkpoints that are being written: a container stands still for as long. */
export class Checkpointing {
  readonly #underWay = new Map<string, { controller: AbortController; ended: Promise<void> }>()
  readonly #context: RuntimeContext

  constructor(context: RuntimeContext) {
    this.#context = context
  }

  /**
   * Writes the state of a running container to an archive: its processes stand still until that is written, and then
   * go on. `timeoutMs` 0: two minutes. To be called under the container's lock.
   */
  async write(record: ContainerRecord, location: string, timeoutMs: number): Promise<void> {
    const { id } = record
    requireCheckpoints(record.handler, this.#context.options)
    const controller = new AbortController()
    const written = writeCheckpoint(record, location, timeoutMs, controller.signal, this.#context)
    this.#underWay.set(id, { controller, ended: written.catch(() => {}) })
    try {
      await written
    } catch (error) {
      if (!controller.signal.aborted) throw error
      throw new CriError('cancelled', `container ${id} is being stopped: its checkpoint is given up`, {
        cause: error,
      })
    } finally {
      this.#underWay.delete(id)
    }
  }

  /** Gives a checkpoint up, where there is one: before a stop, since what stands still takes no signal. */
  async interrupt(id: string): Promise<void> {
    const found = this.#underWay.get(id)
    if (found === undefined) return
    found.controller.abort()
    this.#context.ports.locks.kill(id)
    await found.ended
  }

  async interruptAll(): Promise<void> {
    await Promise.all([...this.#underWay.keys()].map((id) => this.interrupt(id)))
  }
}

async function writeCheckpoint(
  record: ContainerRecord,
  location: string,
  timeoutMs: number,
  signal: AbortSignal,
  { ports, options }: RuntimeContext,
): Promise<void> {
  const { id, handler, spec } = record
  await using undo = new AsyncDisposableStack()
  undo.defer(() => ports.checkpoints.remove(id))
  const directories = await ports.checkpoints.prepare(id)
  signal.throwIfAborted()
  undo.defer(() => ports.monitor.thaw(id, handler))
  const ociSpec = await ports.monitor.checkpoint({
    ...{ id, handler, directories },
    timeoutMs: timeoutMs === 0 ? DEFAULT_TIMEOUT_MS : timeoutMs,
  })
  signal.throwIfAborted()
  const description = {
    ...{ containerId: id, containerName: spec.name, handler, ociSpec },
    images: [record.imageId, spec.imageReference, spec.userSpecifiedImage].filter(Boolean),
    ...{ createdAtNs: record.createdAtNs, checkpointedAtNs: options.nowNs() },
  }
  await ports.checkpoints.pack(id, description, location, signal)
}

/** Lays out what the container goes on from, and answers the image that it ran from. */
export async function openCheckpoint(
  { id, handler, spec }: ContainerRecord,
  sandbox: SandboxRecord,
  { ports, options }: RuntimeContext,
): Promise<{ readonly checkpoint: OpenedCheckpoint; readonly image: LocalImage }> {
  requireCheckpoints(handler, options)
  requireTrust(spec.imageReference, options)
  // An image is opened by its id, to be the very one that may be used.
  const source = posix.isAbsolute(spec.imageReference)
    ? spec.imageReference
    : (await ports.rootfs.resolve(spec.imageReference, useOf(spec, sandbox))).id
  const checkpoint = await ports.checkpoints.open(id, source)
  for (const reference of checkpoint.images) {
    try {
      return {
        checkpoint,
        image: await ports.rootfs.resolve(reference, useOf({ userSpecifiedImage: '' }, sandbox)),
      }
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }
  throw new CriError(
    'failed-precondition',
    `checkpoint ${spec.imageReference} is of a container of image ${checkpoint.images.join(' or ')}, ` +
      'which is not here: pull it first',
  )
}

/** For a container of its own. */
export const useOf = (
  { userSpecifiedImage }: Pick<ContainerSpec, 'userSpecifiedImage'>,
  { spec }: Pick<SandboxRecord, 'spec'>,
): ImageUse => ({ namespace: spec.metadata.namespace, userSpecifiedImage, as: 'root' })

/** Throws invalid-argument where a mount is missing that the processes of a checkpoint have open. */
export function requireMounts(checkpoint: OpenedCheckpoint, { mounts }: Pick<OciSpec, 'mounts'>): void {
  const there = new Set(mounts.map(({ destination }) => destination))
  const missing = checkpoint.bindDestinations.filter((destination) => !there.has(destination))
  if (missing.length === 0) return
  throw invalidArgument(
    `the checkpoint is of a container with mounts at ${missing.join(', ')}: give mounts with these container_paths`,
  )
}

/** CRIU gives processes back what they had: users, capabilities, seccomp filters. Who names a file is root of this node. */
function requireTrust(reference: string, { confinement }: RuntimeContext['options']): void {
  if (posix.isAbsolute(reference) || confinement.restoresImages) return
  throw new CriError(
    'failed-precondition',
    `image ${reference} holds a checkpoint, whose processes would not be confined as the pod asks: use another image, ` +
      'or set runtime.restore_checkpoint_images on a node where who makes images may be root',
  )
}

function requireCheckpoints(handler: string, { handler: find }: RuntimeContext['options']): void {
  if (find(handler).features.checkpoints) return
  throw new CriError(
    'failed-precondition',
    `runtime handler ${handler} can't checkpoint and restore containers on this host: it takes criu in PATH and an ` +
      'OCI runtime that was built with it (crun --version says +CRIU)',
  )
}

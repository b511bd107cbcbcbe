import { join } from 'node:path'
import type { Config } from '#config/config.ts'
import { checkErofs } from '#image/erofs-support.ts'
import { type Images, type ImagesOptions, openImages } from '#image/open-images.ts'
import { pinnedBy } from '#image/pinned-images.ts'
import type { PullGuard } from '#image/policy-guard.ts'
import type { RegistryOptions } from '#image/registry-session.ts'
import { lockDaemon } from '#linux/daemon-lock.ts'
import { makePrivate } from '#linux/private-directories.ts'
import { openForeignImageRecords, openImageRecords } from '#store/image-records.ts'
import { settleImageStore } from '#store/image-store-place.ts'
import type { Paths } from '#store/paths.ts'
import type { PortsInput } from './daemon-ports.ts'
import { watchStore } from './daemon-store-check.ts'
import { openTrust } from './daemon-trust.ts'

export interface OpenStoreInput extends Pick<ImagesOptions, 'clock' | 'log'> {
  readonly config: Config
  readonly paths: Paths
  readonly run: PortsInput['run']
  readonly registry: RegistryOptions
  readonly containerIds: NonNullable<ImagesOptions['containerIds']>
  readonly atImageStep?: (step: string) => void
  /** Ends what is opened here. */
  readonly stack: AsyncDisposableStack
}

/**
 * The image store where the configuration has it, with those that are only read, and who is asked about each image. The
 * root directory is locked.
 */
export async function openStore({
  config,
  paths,
  run,
  stack,
  clock,
  registry,
  containerIds,
  log,
  atImageStep = () => {},
}: OpenStoreInput): Promise<{ readonly images: Images; readonly guard: PullGuard }> {
  const { imageRoot, root } = paths
  const place = settleImageStore(paths, (database) => {
    using before = openImageRecords(database)
    return {
      ...{ storeId: before.storeId, images: before.images().length },
      used: before.rootfsIds().length,
    }
  })
  if (imageRoot !== root) {
    stack.use(lockDaemon(join(imageRoot, 'daemon.lock')))
    makePrivate([imageRoot])
  }
  if (config.image.format === 'erofs') await checkErofs(imageRoot, paths.layerMounts)
  const records = stack.use(openImageRecords(join(imageRoot, 'images.db')))
  place.accept(records.storeId)
  const additional = config.image.additionalStores.map((directory) => ({
    root: directory,
    records: stack.use(openForeignImageRecords(join(directory, 'images.db'))),
  }))
  const kept = [records, ...additional.map((store) => store.records)]
  const { guard, admit } = openTrust({
    ...{ config, run, clock, log, registry },
    records: {
      signatures: (imageId) => kept.flatMap((each) => each.signatures(imageId)),
      putSignatures: records.putSignatures,
    },
  })
  const images = stack.use(
    openImages({
      ...{ root: imageRoot, containersRoot: root, records, additional, clock, log, admit, containerIds },
      localNames: registry.registries.localNames,
      slots: registry.slots,
      format: config.image.format,
      maxLayerBytes: config.image.maxLayerBytes,
      isPinned: pinnedBy(config.image.pinnedImages),
      atStep: atImageStep,
      mountPoint: paths.rootfs,
      volumesDirectory: paths.imageVolumes,
      layerMountsDirectory: paths.layerMounts,
      userHome: paths.userHome,
    }),
  )
  stack.use(watchStore(imageRoot, images, log))
  return { images, guard }
}

import type { RuntimeContext } from '../runtime-context.ts'
import { runTeardown } from '../teardown-steps.ts'

/** Gives back all that a container may hold but its record and its log. What is gone already is no failure. */
export async function teardownContainer(
  id: string,
  handler: string,
  { ports }: RuntimeContext,
): Promise<void> {
  await runTeardown(`container ${id}`, [
    ['remove its processes', () => ports.monitor.remove(id, handler)],
    ['remove what is laid out of a checkpoint', () => ports.checkpoints.remove(id)],
    ['remove the mounts that were made for it', () => ports.mappedMounts.remove(id)],
    ['unmount its image volumes', () => ports.imageVolumes.remove(id)],
    ['remove its root file system', () => ports.rootfs.remove(id)],
  ])
}

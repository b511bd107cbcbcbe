import type { RuntimeContext } from '../runtime-context.ts'
import { runTeardown } from '../teardown-steps.ts'
import type { SandboxRecord, SandboxSpec } from './record.ts'

type TornDown = Pick<SandboxRecord, 'id' | 'hasInit'> & {
  readonly spec: Pick<SandboxSpec, 'handler' | 'namespaces'>
}

/**
 * Gives back all that a sandbox may hold but its record, last acquired first. Called by a failed RunPodSandbox,
 * by StopPodSandbox, RemovePodSandbox and the reconciler; what is gone already is no failure.
 */
export async function teardownSandbox(
  { id, spec, hasInit = spec.namespaces.pid === 'pod' }: TornDown,
  { ports }: RuntimeContext,
): Promise<void> {
  const { network } = await ports.namespaces.find(id)
  await runTeardown(`pod sandbox ${id}`, [
    ['wait for CNI plugins left behind', () => ports.locks.settle(id)],
    ...(hasInit ? [['remove its init', () => ports.monitor.remove(id, spec.handler)] as const] : []),
    ...(spec.namespaces.network === 'pod'
      ? [['detach its network', () => ports.network.detach(id, network)] as const]
      : []),
    ['remove its files', () => ports.files.remove(id)],
    ['remove its namespaces', () => ports.namespaces.remove(id)],
  ])
  // Only when nothing is left in it: a cgroup that is not empty is not remembered.
  await ports.podCgroups.remove(id)
  ports.locks.remove(id)
}

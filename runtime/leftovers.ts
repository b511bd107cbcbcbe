import { teardownContainer } from './container/teardown.ts'
import { teardownSandbox } from './pod-sandbox/teardown.ts'
import type { RuntimePorts } from './ports.ts'
import type { RuntimeContext } from './runtime-context.ts'

/** The ids of all that something is left of on the host, containers before pod sandboxes, with and without a record. */
export async function leftoverIds(ports: RuntimePorts): Promise<ReadonlySet<string>> {
  return new Set([
    ...ports.imageVolumes.leftovers(),
    ...ports.rootfs.leftovers(),
    ...ports.mappedMounts.leftovers(),
    ...(await ports.monitor.leftovers()),
    ...(await ports.network.leftovers()),
    ...ports.files.leftovers(),
    ...ports.namespaces.leftovers(),
    ...ports.locks.leftovers(),
  ])
}

/** Gives back all that an id may hold of which no record tells what it was: first what runs, then what it ran in. */
export async function teardownLeftover(id: string, context: RuntimeContext): Promise<void> {
  await teardownContainer(id, '', context)
  const spec = { handler: '', namespaces: { network: 'pod', pid: 'container', ipc: 'pod' } } as const
  await teardownSandbox({ id, spec }, context)
}

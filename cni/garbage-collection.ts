import { CriError, describeError } from '#lib/errors.ts'
import type { NetworkConfig } from './network-config.ts'
import type { Plugins } from './plugin.ts'
import { isAtLeast } from './spec-version.ts'

/**
 * GC by each plugin, past those that fail: they give back what is held for any container but the valid ones.
 * That hits other runtimes' containers on a network they share, so `allowedNetworks` must name it.
 * No ADD or DEL may be under way (CNI SPEC 1.1, section 2): the caller holds the network alone.
 */
export async function collectNetworkGarbage(
  plugins: Plugins,
  network: NetworkConfig,
  attachments: readonly { readonly containerID: string; readonly ifname: string }[],
): Promise<void> {
  // The second name is what libcni sends too, for plugins written against an early text of the specification.
  const extra = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }
  const failures: unknown[] = []
  for (const plugin of network.plugins) {
    await plugins
      .invoke({ command: 'GC', network, plugin, extra })
      .catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw new CriError('internal', failures.map(describeError).join('; '))
}

export const mayCollectGarbage = (network: NetworkConfig, allowedNetworks: readonly string[]): boolean =>
  allowedNetworks.includes(network.name) && !network.disableGC && isAtLeast(network.cniVersion, '1.1.0')

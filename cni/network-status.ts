import { describeError } from '#lib/errors.ts'
import type { NetworkStatus } from '#runtime/ports.ts'
import type { NetworkConfig } from './network-config.ts'
import type { Plugins } from './plugin.ts'
import { isAtLeast } from './spec-version.ts'

const FRESH_FOR_MS = 5_000
const PROBE_TIMEOUT_MS = 10_000

/**
 * Whether pods can be attached: a valid configuration, its plugins installed, and from 1.1.0 on each one's STATUS.
 * kubelet asks often: a plugin's answer is kept for some seconds, and calls meanwhile share one question.
 */
export function createNetworkStatus(
  readConfig: () => Promise<NetworkConfig>,
  plugins: Plugins,
  nowMs: () => number,
): () => Promise<NetworkStatus> {
  let probe:
    | { readonly of: string; readonly untilMs: number; readonly answer: Promise<NetworkStatus> }
    | undefined

  return async () => {
    try {
      const network = await readConfig()
      plugins.requireInstalled(network)
      if (!isAtLeast(network.cniVersion, '1.1.0')) return { ready: true }
      const of = JSON.stringify(network)
      if (probe?.of !== of || probe.untilMs <= nowMs()) {
        probe = { of, untilMs: nowMs() + FRESH_FOR_MS, answer: ask(network, plugins) }
      }
      return await probe.answer
    } catch (error) {
      return notReady(error)
    }
  }
}

async function ask(network: NetworkConfig, plugins: Plugins): Promise<NetworkStatus> {
  try {
    for (const plugin of network.plugins) {
      await plugins.invoke({ command: 'STATUS', network, plugin, timeoutMs: PROBE_TIMEOUT_MS })
    }
    return { ready: true }
  } catch (error) {
    return notReady(error)
  }
}

const notReady = (error: unknown): NetworkStatus => ({
  ready: false,
  reason: 'NetworkPluginNotReady',
  message: describeError(error),
})

import { CriError, describeError } from '#lib/errors.ts'
import type { Attachment } from './attachment-cache.ts'
import { runtimeConfigFor } from './capabilities.ts'
import type { PluginConfig } from './network-config.ts'
import type { Invocation, Plugins } from './plugin.ts'
import { type CniResult, parseResult } from './result.ts'
import { isAtLeast } from './spec-version.ts'

/** One attachment, with what its plugins hold while they act on it. */
export interface LockedAttachment {
  readonly attachment: Attachment
  readonly lockFd: number
}

/**
 * ADD by each plugin in order, each with the result of the one before. Tells of each result as it comes,
 * so that a failure can be undone with what is known.
 */
export async function addAttachment(
  plugins: Plugins,
  locked: LockedAttachment,
  onResult: (result: CniResult) => void,
): Promise<void> {
  const { network } = locked.attachment
  let result: CniResult | undefined
  for (const plugin of network.plugins) {
    const output = await plugins.invoke(invocationOf('ADD', locked, plugin, result))
    try {
      result = parseResult(output, network.cniVersion)
    } catch (cause) {
      const step = `network ${network.name}: the result of ADD by CNI plugin ${plugin.type} is not valid`
      throw new CriError('internal', step, { cause })
    }
    onResult(result)
  }
}

/** DEL by each plugin in reverse order, past those that fail; throws what went wrong when all have been called. */
export async function deleteAttachment(plugins: Plugins, locked: LockedAttachment): Promise<void> {
  const { network, sandboxId, result } = locked.attachment
  const known = isAtLeast(network.cniVersion, '0.4.0') ? result : undefined
  const failures: unknown[] = []
  for (const plugin of network.plugins.toReversed()) {
    await plugins
      .invoke(invocationOf('DEL', locked, plugin, known))
      .catch((error: unknown) => failures.push(error))
  }
  const [first] = failures
  if (first === undefined) return
  throw new CriError(
    first instanceof CriError ? first.kind : 'internal',
    `detaching sandbox ${sandboxId} is unfinished and will be tried again: ${failures.map(describeError).join('; ')}`,
  )
}

/** CHECK by each plugin in order; throws at the first that fails. Does nothing where the version has no CHECK. */
export async function checkAttachment(plugins: Plugins, locked: LockedAttachment): Promise<void> {
  const { network, result } = locked.attachment
  if (network.disableCheck || !isAtLeast(network.cniVersion, '0.4.0')) return
  for (const plugin of network.plugins) await plugins.invoke(invocationOf('CHECK', locked, plugin, result))
}

function invocationOf(
  command: 'ADD' | 'CHECK' | 'DEL',
  { attachment, lockFd }: LockedAttachment,
  plugin: PluginConfig,
  prevResult: CniResult | undefined,
): Invocation {
  const runtimeConfig = runtimeConfigFor(plugin, attachment.capabilityArgs)
  return {
    command,
    network: attachment.network,
    plugin,
    extra: {
      ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
      ...(prevResult === undefined ? {} : { prevResult }),
    },
    env: {
      CNI_CONTAINERID: attachment.sandboxId,
      CNI_NETNS: attachment.netnsPath,
      CNI_IFNAME: attachment.ifName,
      CNI_ARGS: attachment.cniArgs,
    },
    lockFd,
  }
}

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { CriError, type ErrorKind } from '#lib/errors.ts'
import type { Command, Finished } from '#linux/command.ts'
import type { NetworkConfig, PluginConfig } from './network-config.ts'

/** One execution of a plugin (CNI SPEC, section 2). */
export interface Invocation {
  readonly command: 'ADD' | 'CHECK' | 'DEL' | 'STATUS' | 'GC'
  readonly network: Pick<NetworkConfig, 'name' | 'cniVersion'>
  readonly plugin: PluginConfig
  /** What is added to the plugin's configuration: prevResult, runtimeConfig … */
  readonly extra?: { readonly [key: string]: unknown }
  /** CNI_CONTAINERID, CNI_NETNS … */
  readonly env?: { readonly [name: string]: string }
  /** Held by the plugin as long as it runs. */
  readonly lockFd?: number
  readonly timeoutMs?: number
}

export interface Plugins {
  /** Answers what the plugin printed. Throws a CriError with the plugin's own message. */
  invoke(invocation: Invocation): Promise<string>
  /** Throws failed-precondition for the first plugin of the network that is not installed. */
  requireInstalled(network: Pick<NetworkConfig, 'name' | 'plugins'>): void
}

export interface PluginOptions {
  readonly binDirs: readonly string[]
  readonly run: (command: Command) => Promise<Finished>
  /** Of one plugin; kubelet waits two minutes for a whole RunPodSandbox. */
  readonly timeoutMs: number
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function createPlugins({ binDirs, run, timeoutMs }: PluginOptions): Plugins {
  function find(networkName: string, type: string): string {
    const path = binDirs.map((directory) => join(directory, type)).find(isExecutable)
    if (path !== undefined) return path
    throw new CriError(
      'failed-precondition',
      `network ${networkName}: no CNI plugin ${type} in ${binDirs.join(', ')}: install it there, or add its directory to [cni] bin_dirs`,
    )
  }

  return {
    async invoke(invocation) {
      const { command, network, plugin, extra, env, lockFd } = invocation
      const path = find(network.name, plugin.type)
      const step = `network ${network.name}: ${command} by CNI plugin ${plugin.type}`
      const config = { ...plugin, name: network.name, cniVersion: network.cniVersion, ...extra }
      const finished = await run({
        argv: [path],
        env: { PATH: process.env['PATH'] ?? PATH, CNI_COMMAND: command, CNI_PATH: binDirs.join(':'), ...env },
        stdin: JSON.stringify(config),
        timeoutMs: invocation.timeoutMs ?? timeoutMs,
        ...(lockFd === undefined ? {} : { heldFds: [lockFd] }),
      }).catch((cause: unknown) => {
        throw new CriError(cause instanceof CriError ? cause.kind : 'internal', step, { cause })
      })
      if (finished.exitCode !== 0) throw failureOf(step, finished)
      return finished.stdout.toString()
    },

    requireInstalled(network) {
      for (const { type } of network.plugins) find(network.name, type)
    },
  }
}

const errorSchema = z.looseObject({
  code: z.number(),
  msg: z.string(),
  details: z.string().optional(),
})

/** The spec's well-known codes for what may be otherwise later: try again, not ready, limited. */
const kindByCode = new Map<number, ErrorKind>([
  [11, 'unavailable'],
  [50, 'unavailable'],
  [51, 'unavailable'],
])

/** The plugin's own words: its error object, or where it printed none its output. */
function failureOf(step: string, { exitCode, signal, stdout, stderr }: Finished): CriError {
  const output = stdout.toString().trim()
  const error = errorSchema.safeParse(jsonOrUndefined(output)).data
  if (error !== undefined) {
    const words = [error.msg, error.details].filter((text) => text).join(': ')
    return new CriError(
      kindByCode.get(error.code) ?? 'internal',
      `${step} failed: ${words} (code ${error.code})`,
    )
  }
  const end = signal === undefined ? `exit code ${exitCode}` : `signal ${signal}`
  const words = [stderr, output].filter((text) => text !== '').join('; ') || 'it printed no error'
  return new CriError('internal', `${step} failed: ${words.slice(0, 4096)} (${end})`)
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isExecutable(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isFile() === true && (found.mode & 0o111) !== 0
}

import type { Command } from 'commander'
import type { Explanation } from '#image/registries-explain.ts'
import { CriError } from '#lib/errors.ts'
import type { CliContext } from './cli.ts'
import { daemonClient } from './daemon-client.ts'
import { explanationText } from './explanation-text.ts'

interface ExplainFlags {
  readonly json?: true
  readonly namespace: string
}

/** `registry explain`: by the running daemon, else by the host's files alone. */
export function addRegistryCommands(program: Command, context: CliContext): void {
  const registry = program.command('registry').description('about registries as this host is configured')

  registry
    .command('explain')
    .description(
      'print which endpoints a pull would ask, in which order and with what; none of them is asked',
    )
    .argument('<image>', 'as a pod names it')
    .option('--namespace <namespace>', 'of the pod, which may have credentials of its own', '')
    .option('--json', 'as JSON')
    .action(async (image: string, { json, namespace }: ExplainFlags) => {
      const { explained, note } = await explain(image, namespace, context)
      if (note !== '') context.err(`cri-ts: ${note}\n`)
      context.out(json ? `${JSON.stringify(explained, null, 2)}\n` : explanationText(explained, Date.now()))
    })
}

async function explain(
  image: string,
  namespace: string,
  context: CliContext,
): Promise<{ readonly explained: Explanation; readonly note: string }> {
  const { explainByDaemon } = await import('#admin/registry-client.ts')
  try {
    return { explained: await explainByDaemon(await daemonClient(context), image, namespace), note: '' }
  } catch (thrown) {
    if (!(thrown instanceof CriError) || thrown.kind !== 'unavailable') throw thrown
    const note = `${thrown.message}; so this is what the files say, without what a daemon knows of failures`
    return { explained: await explainByFiles(image, namespace, context), note }
  }
}

async function explainByFiles(image: string, namespace: string, { flags }: CliContext): Promise<Explanation> {
  const { loadConfig } = await import('#config/config.ts')
  const { hostRegistries } = await import('#image/host-registries.ts')
  const { explainPull } = await import('#image/registries-explain.ts')
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const asked = hostRegistries(loadConfig(flags()).config.image, { ask: async () => undefined, log })
  return explainPull(image, namespace, asked)
}

import type { Command } from 'commander'
import type { CliContext } from './cli.ts'
import { daemonClient } from './daemon-client.ts'

/** `metrics`: those of the running daemon. */
export function addMetricsCommand(program: Command, context: CliContext): void {
  program
    .command('metrics')
    .description("print the running daemon's metrics, in Prometheus' text format")
    .action(async () => {
      const { metricsText } = await import('#admin/metrics-client.ts')
      context.out(await metricsText(await daemonClient(context)))
    })
}

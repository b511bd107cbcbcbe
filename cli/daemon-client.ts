import type { AdminClient } from '#admin/client.ts'
import type { CliContext } from './cli.ts'

/** The running daemon, found by the configuration and the flags. What asks it is loaded only by commands that do. */
export async function daemonClient({ flags }: CliContext): Promise<AdminClient> {
  const { loadConfig } = await import('#config/config.ts')
  const { adminClient, adminSocket } = await import('#admin/client.ts')
  return adminClient(adminSocket(loadConfig(flags()).config.state))
}

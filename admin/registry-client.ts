import type { Explanation } from '#image/registries-explain.ts'
import type { AdminClient } from './client.ts'
import { EXPLAIN_PATH, explanation } from './registry-protocol.ts'

/** What the daemon would do with a pull of the reference for a pod of the namespace. */
export async function explainByDaemon(
  client: AdminClient,
  reference: string,
  namespace: string,
): Promise<Explanation> {
  const query = new URLSearchParams({ reference, namespace })
  return explanation.parse(await client.call('GET', `${EXPLAIN_PATH}?${query}`))
}

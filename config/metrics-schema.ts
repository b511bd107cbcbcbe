import { isIP } from 'node:net'
import { z } from 'zod'
import { says } from './key-meta.ts'

/** The table [metrics]. */
export const metricsTable = z
  .strictObject({
    address: z
      .string()
      .refine((value) => value === '' || addressOf(value) !== undefined)
      .default('')
      .meta(
        says(
          'Where /metrics is served to Prometheus, over plain HTTP and to whoever can connect; "" is nowhere, and `cri-ts metrics` shows them all the same.',
          '"" or an IP address and a TCP port, such as "127.0.0.1:1338" or "[::1]:1338"; port 0 is any free one, which the log tells',
        ),
      ),
  })
  .prefault({})

export interface MetricsSettings {
  /** Undefined: they are not served by TCP. */
  readonly address: { readonly host: string; readonly port: number } | undefined
}

export const metricsSettings = ({ address }: z.infer<typeof metricsTable>): MetricsSettings => ({
  address: addressOf(address),
})

function addressOf(text: string): MetricsSettings['address'] {
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4 ?? ''
  const fits = v6 === undefined ? isIP(host) === 4 : isIP(host) === 6
  return fits && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined
}

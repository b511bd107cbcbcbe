import { isIP } from 'node:net'
import { z } from 'zod'
import { parseWith } from './network-config.ts'
import { isAtLeast, newestSpecVersion, type SpecVersion } from './spec-version.ts'

const resultSchema = z.looseObject({
  cniVersion: z.string().optional(),
  interfaces: z.array(z.looseObject({ name: z.string(), sandbox: z.string().optional() })).nullish(),
  ips: z
    .array(
      z.looseObject({
        address: z.string().refine((text) => addressOf(text) !== undefined, 'is not ADDRESS/PREFIX'),
        interface: z.int().nullish(),
      }),
    )
    .nullish(),
})

/** What a plugin answers to ADD (CNI SPEC, section 5), in the form of the version it was asked in. */
export type CniResult = Readonly<z.infer<typeof resultSchema>>

/** Throws a plain Error that says what is wrong with the output. */
export function parseResult(output: string, version: SpecVersion): CniResult {
  if (output.trim() === '') throw new Error('it printed no result')
  return convertResult(parseWith(resultSchema, JSON.parse(output)), version)
}

/** Up to 0.4.0 each address says its family, from 1.0.0 on it must not. Other differences are additions. */
function convertResult(result: CniResult, version: SpecVersion): CniResult {
  const { cniVersion = version } = result
  if (newestSpecVersion([cniVersion]) === undefined) {
    throw new Error(`its result is of version ${cniVersion}, asked for was ${version}`)
  }
  const ips = result.ips?.map(({ version: _, ...ip }) =>
    isAtLeast(version, '1.0.0') ? ip : { version: ip.address.includes(':') ? '6' : '4', ...ip },
  )
  return { ...result, cniVersion: version, ...(ips === undefined ? {} : { ips }) }
}

/**
 * The pod's addresses without prefix length: those on interfaces inside the sandbox, or of no named interface.
 * The result's order is kept (its first is the primary), with those of `ifName` before those of other interfaces.
 */
export function podIps(result: CniResult, ifName: string): readonly string[] {
  const inside = (result.ips ?? []).flatMap(({ address, interface: index }) => {
    const on = index == null ? undefined : result.interfaces?.[index]
    if (on !== undefined && !on.sandbox) return []
    return [{ ip: addressOf(address) ?? '', main: on === undefined || on.name === ifName }]
  })
  const sorted = [...inside.filter(({ main }) => main), ...inside.filter(({ main }) => !main)]
  return [...new Set(sorted.map(({ ip }) => ip))]
}

/** The address of ADDRESS/PREFIX; undefined where it is something else. */
function addressOf(text: string): string | undefined {
  const match = /^([0-9a-fA-F:.]+)\/(\d{1,3})$/.exec(text)
  const [, ip = '', prefix] = match ?? []
  const family = isIP(ip)
  return family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128) ? ip : undefined
}

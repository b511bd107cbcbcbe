import { isIP } from 'node:net'
import { z } from 'zod'
import { invalidArgument } from '#lib/errors.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'

/** The CRI has no field for it: a pod asks by this annotation, a network allows it by the capability `ipRanges`. */
export const IP_RANGES_ANNOTATION = 'cri-ts.io/ip-ranges'

const address = z.string().refine((text) => isIP(text) !== 0, 'is no IP address')
const subnet = z.string().refine(isSubnet, 'is no subnet, as 10.1.0.0/24')

/** As host-local takes it: a list of sets, an address is taken of each set (CNI CONVENTIONS.md, ipRanges). */
const ipRangesSchema = z
  .array(
    z
      .array(
        z.strictObject({
          subnet,
          rangeStart: address.optional(),
          rangeEnd: address.optional(),
          gateway: address.optional(),
        }),
      )
      .nonempty(),
  )
  .nonempty()

export type IpRanges = z.infer<typeof ipRangesSchema>

/** Undefined where the pod asks for none. Throws invalid-argument that names the annotation and what is wrong in it. */
export function ipRangesOf(annotations: StringMap): IpRanges | undefined {
  const text = annotations[IP_RANGES_ANNOTATION]
  if (text === undefined) return undefined
  const parsed = ipRangesSchema.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  throw invalidArgument(
    `annotation ${IP_RANGES_ANNOTATION}: ${z.prettifyError(parsed.error)}; it is as [[{"subnet": "10.1.0.0/24"}]]`,
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`annotation ${IP_RANGES_ANNOTATION} is no JSON`, { cause })
  }
}

function isSubnet(text: string): boolean {
  const [network = '', length = ''] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(network)] ?? -1
  return /^\d{1,3}$/.test(length) && Number(length) <= bits
}

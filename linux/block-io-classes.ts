import { globSync, readFileSync, statSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import { parseQuantity } from '#lib/quantity.ts'
import type { BlockIo } from '#runtime/resource-classes-port.ts'
import { deviceNumbers } from './device-nodes.ts'

const quantity = z.union([z.string(), z.number()]).transform((value, context) => {
  const number = numberOf(`${value}`)
  if (Number.isSafeInteger(number) && number >= 0) return number
  context.addIssue({ code: 'custom', message: `${value} is no quantity like 50M or 10k` })
  return z.NEVER
})
const weight = quantity.refine((value) => value >= 10 && value <= 1000, 'a weight may be 10 to 1000')

const parameters = z
  .strictObject({
    Devices: z.array(z.string().startsWith('/dev/')).optional(),
    Weight: weight.optional(),
    ThrottleReadBps: quantity.optional(),
    ThrottleWriteBps: quantity.optional(),
    ThrottleReadIOPS: quantity.optional(),
    ThrottleWriteIOPS: quantity.optional(),
  })
  .refine(
    ({ Devices, Weight: _, ...throttles }) => Devices !== undefined || Object.keys(throttles).length === 0,
    'a Throttle… needs Devices',
  )
const file = z.strictObject({ Classes: z.record(z.string(), z.array(parameters)) })

type Parameters = z.infer<typeof parameters>
interface Numbers {
  readonly major: number
  readonly minor: number
}

/** The device numbers of the block devices that a pattern matches now. */
export type FindDevices = (pattern: string) => readonly Numbers[]

/**
 * The limits of a class that the file (goresctrl's YAML) defines, for the devices there are now: of those that several
 * entries match, the last one counts. The file is read anew for each container that names a class.
 */
export function blockIoClass(path: string, name: string, find: FindDevices = findDevices): BlockIo {
  const classes = readClasses(path)
  const found = Object.hasOwn(classes, name) ? classes[name] : undefined
  if (found === undefined) {
    const names = Object.keys(classes).join(', ') || 'none'
    throw invalidArgument(`blockio class ${name} is not defined: ${path} has ${names}`)
  }
  const defaultWeight = found.findLast(
    (each) => each.Devices === undefined && each.Weight !== undefined,
  )?.Weight
  const each = (field: Exclude<keyof Parameters, 'Devices'>) => perDevice(found, field, find)
  const rates = (field: Exclude<keyof Parameters, 'Devices'>) =>
    each(field).map(({ value, ...numbers }) => ({ ...numbers, rate: value }))
  return {
    ...(defaultWeight === undefined ? {} : { weight: defaultWeight }),
    weightDevice: each('Weight').map(({ value, ...numbers }) => ({ ...numbers, weight: value })),
    throttleReadBpsDevice: rates('ThrottleReadBps'),
    throttleWriteBpsDevice: rates('ThrottleWriteBps'),
    throttleReadIOPSDevice: rates('ThrottleReadIOPS'),
    throttleWriteIOPSDevice: rates('ThrottleWriteIOPS'),
  }
}

function perDevice(
  entries: readonly Parameters[],
  field: Exclude<keyof Parameters, 'Devices'>,
  find: FindDevices,
) {
  const found = new Map<string, Numbers & { readonly value: number }>()
  for (const entry of entries) {
    const value = entry[field]
    if (value === undefined) continue
    for (const numbers of (entry.Devices ?? []).flatMap(find)) {
      found.set(`${numbers.major}:${numbers.minor}`, { ...numbers, value })
    }
  }
  return [...found.values()]
}

function readClasses(path: string): z.infer<typeof file>['Classes'] {
  try {
    return file.parse(parse(readFileSync(path, 'utf8'))).Classes
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error)
    throw new CriError('failed-precondition', `blockio_config ${path} cannot be used: ${reason}`)
  }
}

function findDevices(pattern: string): readonly Numbers[] {
  return globSync(pattern).flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat?.isBlockDevice() === true ? [deviceNumbers(BigInt(stat.rdev))] : []
  })
}

function numberOf(text: string): number {
  try {
    return Number(parseQuantity(text))
  } catch {
    return Number.NaN
  }
}

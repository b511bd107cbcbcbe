import { invalidArgument } from './errors.ts'

const PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?$/
const LENGTH_LIMIT = 64
const decimalExponents = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
])
const binarySuffixes = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/**
 * A Kubernetes quantity (`10M`, `1.5Gi`, `500m`, `1e6`) in whole units, rounded up
 * (k8s.io/apimachinery, resource.Quantity). Throws invalid-argument.
 */
export function parseQuantity(text: string): bigint {
  const [matched, sign, whole = '', fraction = '', suffix = ''] = PATTERN.exec(text) ?? []
  if (matched === undefined || text.length > LENGTH_LIMIT || whole + fraction === '') {
    throw invalidArgument(
      `${JSON.stringify(text)} is not a quantity: give a number with a suffix such as M or Mi`,
    )
  }
  const exponent = decimalExponent(suffix) - fraction.length
  const scaled =
    BigInt(whole + fraction) *
    1024n ** BigInt(binarySuffixes.indexOf(suffix) + 1) *
    10n ** BigInt(Math.max(exponent, 0))
  const value = sign === '-' ? -scaled : scaled
  return ceilDivide(value, 10n ** BigInt(Math.max(-exponent, 0)))
}

function decimalExponent(suffix: string): number {
  return (
    decimalExponents.get(suffix) ??
    (/^[eE]./.test(suffix) && !suffix.endsWith('i') ? Number(suffix.slice(1)) : 0)
  )
}

function ceilDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor // Towards zero.
  return value > 0n && value % divisor !== 0n ? quotient + 1n : quotient
}

import type { IntelRdt } from './injection-port.ts'

interface DeviceNumbers {
  readonly major: number
  readonly minor: number
}
type Rates = readonly (DeviceNumbers & { readonly rate: number })[]

/** linux.resources.blockIO of config.json. */
export interface BlockIo {
  readonly weight?: number
  readonly weightDevice?: readonly (DeviceNumbers & { readonly weight: number })[]
  readonly throttleReadBpsDevice?: Rates
  readonly throttleWriteBpsDevice?: Rates
  readonly throttleReadIOPSDevice?: Rates
  readonly throttleWriteIOPSDevice?: Rates
}

/** What the node's administrator has given a name. Throw failed-precondition where there are no classes of the kind. */
export interface ResourceClasses {
  /** Throws invalid-argument for one that is not defined. */
  blockIo(name: string): BlockIo
  rdt(name: string): IntelRdt
}

import { expect, test } from 'vitest'
import { metricsSettings, metricsTable } from './metrics-schema.ts'

const read = (address: string) => metricsSettings(metricsTable.parse({ address })).address

test('metrics are not served by TCP unless an address is set', () => {
  expect(metricsSettings(metricsTable.parse({}))).toEqual({ address: undefined })
  expect(read('')).toBeUndefined()
})

test.for([
  ['127.0.0.1:1338', '127.0.0.1', 1338],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['[::1]:65535', '::1', 65_535],
] as const)('%s is an address and a port', ([address, host, port]) => {
  expect(read(address)).toEqual({ host, port })
})

test.for(['127.0.0.1', ':1338', '::1:1338', '[127.0.0.1]:1', 'localhost:1338', '127.0.0.1:65536', '[::1]'])(
  '%s is refused',
  (address) => {
    expect(metricsTable.safeParse({ address }).success).toBe(false)
  },
)

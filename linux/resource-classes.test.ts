import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blockIoClass } from './block-io-classes.ts'
import { createResourceClasses } from './resource-classes.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-classes-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const sda = { major: 8, minor: 0 }
const sdb = { major: 8, minor: 16 }
const find = (pattern: string) => ({ '/dev/sd[a-z]': [sda, sdb], '/dev/sdb': [sdb] })[pattern] ?? []

function classOf(name: string, ...lines: readonly string[]) {
  const path = join(directory, 'blockio.yaml')
  writeFileSync(path, ['Classes:', ...lines].join('\n'))
  return blockIoClass(path, name, find)
}

describe('a blockio class', () => {
  test('has the limits of each device, the last that matches it', () => {
    const found = classOf(
      'slow',
      '  slow:',
      '    - Weight: 80',
      '    - Devices: ["/dev/sd[a-z]", /dev/none]',
      '      ThrottleReadBps: 50M',
      '      ThrottleWriteIOPS: 10k',
      '      Weight: 50',
      '    - Devices: [/dev/sdb]',
      '      ThrottleReadBps: 1Mi',
      '  fast:',
      '    - Weight: 400',
    )
    expect(found).toEqual({
      weight: 80,
      weightDevice: [
        { ...sda, weight: 50 },
        { ...sdb, weight: 50 },
      ],
      throttleReadBpsDevice: [
        { ...sda, rate: 50_000_000 },
        { ...sdb, rate: 1 << 20 },
      ],
      throttleWriteBpsDevice: [],
      throttleReadIOPSDevice: [],
      throttleWriteIOPSDevice: [
        { ...sda, rate: 10_000 },
        { ...sdb, rate: 10_000 },
      ],
    })
  })

  test('that is not defined is refused, with those that are', () => {
    for (const name of ['slo', 'constructor']) {
      expect(() => classOf(name, '  slow: []', '  fast: []')).toThrow(
        expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining('slow, fast') }),
      )
    }
  })

  test.for([
    ['    - Weight: 5', 'a weight may be 10 to 1000'],
    ['    - Weight: heavy', 'heavy is no quantity'],
    ['    - ThrottleReadBps: 1M', 'needs Devices'],
    ['    - {Devices: [sda], ThrottleReadBps: 1M}', 'must start with "/dev/"'],
    ['    - Wait: 100', 'Wait'],
    ['   -\t- :', 'blockio.yaml'],
  ] as const)('with the line %s is refused: %s', ([line, message]) => {
    expect(() => classOf('slow', '  slow:', line)).toThrow(
      expect.objectContaining({ kind: 'failed-precondition', message: expect.stringContaining(message) }),
    )
  })

  test('where the node has none, says how to have them', () => {
    const classes = createResourceClasses({ blockIoConfig: undefined })
    expect(() => classes.blockIo('slow')).toThrow(
      expect.objectContaining({
        kind: 'failed-precondition',
        message: expect.stringContaining('blockio_config'),
      }),
    )
  })
})

describe('an RDT class', () => {
  const classes = () => createResourceClasses({ blockIoConfig: undefined, resctrl: directory })

  test('is a directory of resctrl with its schemata', () => {
    writeFileSync(join(directory, 'schemata'), '')
    for (const name of ['gold', 'info']) {
      mkdirSync(join(directory, name))
      writeFileSync(join(directory, name, 'schemata'), '')
    }
    expect(classes().rdt('gold')).toEqual({ closID: 'gold' })
    for (const name of ['silver', 'info', '..', '', 'gold/x']) {
      expect(() => classes().rdt(name)).toThrow(expect.objectContaining({ kind: 'invalid-argument' }))
    }
  })

  test('where resctrl is not mounted, says so', () => {
    expect(() => classes().rdt('gold')).toThrow(
      expect.objectContaining({
        kind: 'failed-precondition',
        message: expect.stringContaining('not mounted'),
      }),
    )
  })
})

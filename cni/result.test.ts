import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseResult, podIps } from './result.ts'
import { specVersions } from './spec-version.ts'

const bridged = {
  cniVersion: '1.0.0',
  interfaces: [
    { name: 'cni0', mac: '0a:00:00:00:00:01' },
    { name: 'veth1' },
    { name: 'eth0', sandbox: '/run/netns/a' },
    { name: 'net1', sandbox: '/run/netns/a' },
  ],
  ips: [
    { address: '10.1.0.1/16', interface: 0 },
    { address: '172.16.0.9/24', interface: 3 },
    { address: 'fd00::5/64', interface: 2, gateway: 'fd00::1' },
    { address: '10.1.0.5/16', interface: 2 },
  ],
  routes: [{ dst: '0.0.0.0/0' }],
}

describe('the addresses of a pod', () => {
  test('are those inside the sandbox, its main interface first, in the order of the result', () => {
    expect(podIps(parseResult(JSON.stringify(bridged), '1.0.0'), 'eth0')).toEqual([
      'fd00::5',
      '10.1.0.5',
      '172.16.0.9',
    ])
  })

  test('are all where no interface is named, as up to 0.3', () => {
    const result = { ips: [{ version: '4', address: '10.1.0.5/16' }] }
    expect(podIps(parseResult(JSON.stringify(result), '0.3.1'), 'eth0')).toEqual(['10.1.0.5'])
  })

  test('are none where the result has none', () => {
    expect(podIps(parseResult('{"ips":null,"interfaces":null}', '1.1.0'), 'eth0')).toEqual([])
  })
})

describe('a result', () => {
  test('of an older version takes the form of the one asked for, and keeps what is not known', () => {
    const old = { cniVersion: '0.3.1', ips: [{ version: '6', address: 'fd00::5/64', x: 1 }], dns: {}, y: 2 }
    expect(parseResult(JSON.stringify(old), '1.1.0')).toEqual({
      cniVersion: '1.1.0',
      ips: [{ address: 'fd00::5/64', x: 1 }],
      dns: {},
      y: 2,
    })
  })

  test('of a newer version says the family of each address again', () => {
    expect(parseResult(JSON.stringify(bridged), '0.4.0')).toMatchObject({
      cniVersion: '0.4.0',
      ips: [{ version: '4' }, { version: '4' }, { version: '6' }, { version: '4' }],
    })
  })

  test.for([
    ['', 'it printed no result'],
    ['{', 'JSON'],
    ['[]', 'expected object'],
    ['{"ips":[{"address":"10.1.0.5"}]}', 'ips.0.address: is not ADDRESS/PREFIX'],
    ['{"ips":[{"address":"10.1.0.5/33"}]}', 'ips.0.address: is not ADDRESS/PREFIX'],
    ['{"interfaces":[{}]}', 'interfaces.0.name'],
    [
      '{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/16"}}',
      'its result is of version 0.2.0, asked for was 1.0.0',
    ],
  ] as const)('%s is refused', ([output, message]) => {
    expect(() => parseResult(output, '1.0.0')).toThrow(message)
  })

  test('whatever a plugin prints, it is a result with sound addresses or an Error', () => {
    const address = fc
      .oneof(fc.ipV4(), fc.ipV6())
      .chain((ip) => fc.nat(140).map((prefix) => `${ip}/${prefix}`))
    const ip = fc.record({ address: fc.oneof(address, fc.string()), interface: fc.option(fc.integer()) })
    const resultLike = fc.record(
      {
        cniVersion: fc.constantFrom(...specVersions, '0.1.0'),
        ips: fc.array(ip),
        interfaces: fc.array(fc.record({ name: fc.string(), sandbox: fc.string() })),
      },
      { requiredKeys: [] },
    )
    const output = fc.oneof(
      fc.string(),
      fc.json(),
      resultLike.map((value) => JSON.stringify(value)),
    )
    fc.assert(
      fc.property(output, fc.constantFrom(...specVersions), (text, version) => {
        let ips: readonly string[]
        try {
          ips = podIps(parseResult(text, version), 'eth0')
        } catch (error) {
          return error instanceof Error
        }
        return ips.every((podIp) => /^[0-9a-fA-F:.]+$/.test(podIp))
      }),
    )
  })

  test('converted to a version twice is the same as once', () => {
    fc.assert(
      fc.property(fc.array(fc.ipV4()), fc.constantFrom(...specVersions), (ips, version) => {
        const output = JSON.stringify({ ips: ips.map((ip) => ({ address: `${ip}/24` })) })
        const once = parseResult(output, version)
        expect(parseResult(JSON.stringify(once), version)).toEqual(once)
      }),
    )
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCdiSpec } from './cdi-spec.ts'

const minimal = {
  cdiVersion: '0.6.0',
  kind: 'vendor.com/gpu',
  devices: [{ name: '0', containerEdits: { env: ['A=b'] } }],
}
const parse = (over: object) => parseCdiSpec(JSON.stringify({ ...minimal, ...over }), 'json')
const withEdits = (containerEdits: object) => parse({ devices: [{ name: 'x', containerEdits }] })

test('a file is read with its defaults', () => {
  const nothing = { env: [], deviceNodes: [], netDevices: [], hooks: [], mounts: [], additionalGids: [] }
  expect(parse({})).toEqual({
    ...minimal,
    devices: [{ name: '0', containerEdits: { ...nothing, env: ['A=b'] } }],
    containerEdits: nothing,
  })
})

test('YAML means what it means to the tools that vendors write it with', () => {
  const yaml = `---
cdiVersion: "v1.1.0"
kind: vendor.com/class.of_device
annotations: { note: x }
devices:
- name: 1:30
  containerEdits: &edits
    deviceNodes:
    - { path: /dev/card0, fileMode: 0660, permissions: none, uid: 1000, gid: 44, type: c, major: 226, minor: 0 }
    hooks:
    - hookName: createContainer
      path: /usr/bin/tool
      args: [tool, --yes]
      timeout: 5
    additionalGIDs: [44]
    intelRdt: { closID: gold, schemata: ["L3:0=f"], enableMonitoring: true }
- name: again
  containerEdits: *edits
containerEdits:
  netDevices: [{ hostInterfaceName: eth1, name: net1 }]
`
  const { devices, containerEdits } = parseCdiSpec(yaml, 'yaml')
  expect(devices.map(({ name }) => name)).toEqual(['1:30', 'again'])
  expect(devices[0]?.containerEdits).toMatchObject({
    deviceNodes: [{ path: '/dev/card0', fileMode: 0o660, permissions: 'none', uid: 1000 }],
    hooks: [{ hookName: 'createContainer', args: ['tool', '--yes'], timeout: 5 }],
    additionalGids: [44],
    intelRdt: { closID: 'gold', enableMonitoring: true },
  })
  expect(devices[1]?.containerEdits).toEqual(devices[0]?.containerEdits)
  expect(containerEdits.netDevices).toEqual([{ hostInterfaceName: 'eth1', name: 'net1' }])
})

test.for<[() => unknown, string]>([
  [() => parse({ cdiVersion: '2.0.0' }), 'cdiVersion is none of 0.1.0'],
  [() => parse({ kind: 'gpu' }), 'kind is not of the form vendor.com/class'],
  [() => parse({ kind: 'vendor.com/gpu/x' }), 'kind is not of the form'],
  [() => parse({ devices: [] }), 'devices is empty'],
  [() => parse({ devices: [...minimal.devices, ...minimal.devices] }), 'devices has a name twice'],
  [() => parse({ devices: [{ name: '-x' }] }), 'devices[0].name is no device name'],
  [() => parse({ surprise: 1 }), 'the file Unrecognized key: "surprise"'],
  [() => withEdits({ env: ['=x'] }), 'devices[0].containerEdits.env[0] is not of the form NAME=value'],
  [() => withEdits({ deviceNodes: [{ path: '' }] }), 'deviceNodes[0].path is empty'],
  [() => withEdits({ deviceNodes: [{ path: '/dev/x', permissions: 'rx' }] }), 'permissions may have r, w'],
  [() => withEdits({ deviceNodes: [{ path: '/dev/x', type: 'd' }] }), 'deviceNodes[0].type'],
  [() => withEdits({ mounts: [{ hostPath: '/x' }] }), 'mounts[0].containerPath'],
  [() => withEdits({ hooks: [{ hookName: 'never', path: '/x' }] }), 'hooks[0].hookName'],
  [
    () => withEdits({ hooks: [{ hookName: 'poststop', path: 'x' }] }),
    'hooks[0].path is not an absolute path',
  ],
  [() => withEdits({ hooks: [{ hookName: 'poststop', path: '/x', timeout: 0 }] }), 'hooks[0].timeout'],
  [() => withEdits({ intelRdt: { closID: '../x' } }), 'intelRdt.closID is no name'],
  [() => withEdits({ netDevices: [{ hostInterfaceName: 'a' }] }), 'netDevices[0].name'],
  [() => parseCdiSpec('{', 'json'), 'JSON'],
  [() => parseCdiSpec('a: [', 'yaml'), 'at line 1'],
])('what is wrong is named by its key: %#', ([read, message]) => {
  expect(read).toThrow(message)
})

test('aliases that would fill the memory are refused', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
  for (let level = 0; level < 12; level += 1) {
    const [below, name] = [level, level + 1].map((n) => String.fromCharCode(97 + n))
    bomb.push(`${name}: &${name} [${Array(10).fill(`*${below}`).join(',')}]`)
  }
  expect(() => parseCdiSpec(bomb.join('\n'), 'yaml')).toThrow(/alias/)
})

test('whatever a file holds, it is read or refused with a message', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), fc.constantFrom('json', 'yaml'), (content, format) => {
      try {
        expect(parseCdiSpec(content, format).devices.length).toBeGreaterThan(0)
      } catch (error) {
        expect((error as Error).message).not.toBe('')
      }
    }),
  )
})

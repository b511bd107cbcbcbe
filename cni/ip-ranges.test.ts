import { expect, test } from 'vitest'
import { capabilityArgs, runtimeConfigFor } from './capabilities.ts'
import { IP_RANGES_ANNOTATION, ipRangesOf } from './ip-ranges.ts'

const asking = (text: string) => ({ [IP_RANGES_ANNOTATION]: text })

test('a pod asks for address ranges, and a plugin that declares the capability is given them', () => {
  const ranges = [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9' }], [{ subnet: 'fd00::/64' }]]
  const args = capabilityArgs({
    sandboxId: 'abc',
    netnsPath: '/run/netns/abc',
    pod: { name: 'web', namespace: 'default', uid: 'u-1', attempt: 0 },
    portMappings: [],
    dns: undefined,
    annotations: asking(JSON.stringify(ranges)),
    cgroupParent: '',
  })
  expect(runtimeConfigFor({ type: 'host-local', capabilities: { ipRanges: true } }, args)).toEqual({
    ipRanges: ranges,
  })
  expect(runtimeConfigFor({ type: 'host-local' }, args)).toBeUndefined()
})

test('a pod without the annotation asks for nothing', () => {
  expect(ipRangesOf({})).toBeUndefined()
})

test.for([
  '[',
  '{}',
  '[]',
  '[[]]',
  '[[{}]]',
  '[[{"subnet": "10.1.0.0"}]]',
  '[[{"subnet": "10.1.0.0/33"}]]',
  '[[{"subnet": "10.1.0.0/24", "rangeStart": "x"}]]',
  '[[{"subnet": "10.1.0.0/24", "range": "x"}]]',
])('ranges of %s are refused by the name of the annotation', (text) => {
  expect(() => ipRangesOf(asking(text))).toThrow(
    expect.objectContaining({
      kind: 'invalid-argument',
      message: expect.stringContaining(IP_RANGES_ANNOTATION),
    }),
  )
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  hugepageSizes,
  kernelVersion,
  minOomScoreAdj,
  nofileLimit,
  parseCapabilities,
  selinuxEnabled,
} from './host-facts.ts'

const status = (permitted: string, effective: string, bounding: string): string =>
  `Name:\tnode\nCapInh:\t0000000000000000\nCapPrm:\t${permitted}\nCapEff:\t${effective}\nCapBnd:\t${bounding}\nCapAmb:\t0\n`

test('a root without CAP_SYS_RESOURCE holds all the others', () => {
  const held = parseCapabilities(status('000001fffeffffff', '000001fffeffffff', '000001fffeffffff'))
  expect(held).toHaveLength(40)
  expect(held).not.toContain('CAP_SYS_RESOURCE')
  expect(held).toContain('CAP_CHECKPOINT_RESTORE')
})

test('a capability counts only where it is permitted, effective and in the bounding set', () => {
  expect(parseCapabilities(status('7', '3', '6'))).toEqual(['CAP_DAC_OVERRIDE'])
  expect(parseCapabilities('Name:\tnode\n')).toEqual([])
})

test('a capability of a newer kernel is passed over', () => {
  expect(parseCapabilities(status('20000000001', '20000000001', '20000000001'))).toEqual(['CAP_CHOWN'])
})

test.for([
  [['CAP_SYS_RESOURCE'], '0\n', -1000],
  [[], '0\n', 0],
  [[], '-999\n', -999],
] as const)('with %o and an oom_score_adj of %j one may set %d and above', ([held, own, lowest]) => {
  expect(minOomScoreAdj(held, own)).toBe(lowest)
})

const limits = (soft: string, hard: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             1   2   processes\nMax open files            ${soft}   ${hard}   files\n`

test.for([
  ['20000', '20000', { soft: 1024, hard: 20000 }],
  ['1048576', '1048576', { soft: 1024, hard: 524_288 }],
  ['512', '512', { soft: 512, hard: 512 }],
  ['unlimited', 'unlimited', { soft: 1024, hard: 524_288 }],
] as const)('open files of %s:%s become %o', ([soft, hard, expected]) => {
  expect(nofileLimit(limits(soft, hard))).toEqual(expected)
})

test('hugepage sizes are named as the hugetlb controller names its files', () => {
  const directories = ['hugepages-64kB', 'hugepages-2048kB', 'hugepages-1048576kB', 'hugepages-524288kB', 'x']
  expect(hugepageSizes(directories)).toEqual(['64KB', '2MB', '1GB', '512MB'])
})

test('a kernel is known by its first two numbers', () => {
  expect(kernelVersion('6.18.44-fc-v595')).toEqual([6, 18])
  expect(kernelVersion('4.8-rc1')).toEqual([4, 8])
  expect(kernelVersion('7')).toEqual([7, 0])
})

test('security modules that the kernel lacks are not enabled', () => {
  expect(selinuxEnabled('/nonexistent/enforce')).toBe(false)
})

test('SELinux without a policy is off, with one it is on, enforced or not', () => {
  const directory = mkdtempSync(join(tmpdir(), 'selinux-'))
  const [enforce, current] = ['enforce', 'current'].map((name) => join(directory, name))
  const isOn = (context: string): boolean => {
    writeFileSync(enforce ?? '', '0')
    writeFileSync(current ?? '', context)
    return selinuxEnabled(enforce, current)
  }
  expect(isOn('kernel\0')).toBe(false)
  expect(isOn('system_u:system_r:kernel_t:s0\0')).toBe(true)
  rmSync(directory, { recursive: true })
})

import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readHostFacts } from './host-facts.ts'

const CGROUP2_SUPER_MAGIC = 0x63677270

test('the facts of this host agree with what the kernel says by other ways', () => {
  const facts = readHostFacts()
  expect(facts.cgroupVersion).toBe(statfsSync('/sys/fs/cgroup').type === CGROUP2_SUPER_MAGIC ? 2 : 1)
  expect(facts.cgroupDriver).toBe(existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs')
  expect(facts.capabilities).toContain('CAP_SYS_ADMIN')
  expect(facts.nofileLimit.soft).toBeLessThanOrEqual(facts.nofileLimit.hard)
  expect(facts.minOomScoreAdj).toBeLessThanOrEqual(Number(readFileSync('/proc/self/oom_score_adj', 'utf8')))
})

test('a configured cgroup driver is taken as it is', () => {
  expect(readHostFacts('systemd').cgroupDriver).toBe('systemd')
  expect(readHostFacts('cgroupfs').cgroupDriver).toBe('cgroupfs')
})

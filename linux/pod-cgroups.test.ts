import { expect, test } from 'vitest'
import { withParents } from './pod-cgroups.ts'

test.for([
  ['/a/b', ['/m/a/b', '/m/a']],
  ['/a//b/', ['/m/a/b', '/m/a']],
  ['a', ['/m/a']],
  ['/', []],
  ['//', []],
  ['/.', []],
  ['', []],
] as const)('a pod in cgroup %s may need %o to be made', ([cgroup, paths]) => {
  expect(withParents('/m', cgroup)).toEqual(paths)
})

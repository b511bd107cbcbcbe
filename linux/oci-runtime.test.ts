import { expect, test } from 'vitest'
import { bundleConfig, refusal, runtimeMessage } from './oci-runtime.ts'

test.for([
  [
    'time="2026-01-01T00:00:00Z" level=error msg="runc create failed: \\"x\\" no"',
    'runc create failed: "x" no',
  ],
  [
    '{"level":"error","msg":"exec failed: exec: \\"/nope\\": no such file","time":"x"}',
    'exec failed: exec: "/nope": no such file',
  ],
  ['{"msg":"a","level":"error"}\n{"msg":"b","level":"error"}', 'a; b'],
  ['  plain words\n', 'plain words'],
  ['', 'exit code 7'],
] as const)('%s is told as: %s', ([text, told]) => {
  expect(runtimeMessage(text, 7)).toBe(told)
})

test('a bundle tells crun to put the container into its scope, as other runtimes do', () => {
  const config = JSON.parse(bundleConfig({ annotations: { kept: 'yes' } }))
  expect(config.annotations).toEqual({ kept: 'yes', 'run.oci.systemd.subgroup': '' })
})

test.for([
  ['exec: "/no/such": stat /no/such: no such file or directory', 'invalid-argument'],
  ['exec: "nosuch": executable file not found in $PATH', 'invalid-argument'],
  ['executable file `nosuch` not found in $PATH: No such file or directory', 'invalid-argument'],
  ['exec: "/etc": permission denied', 'invalid-argument'],
  ['mount `/f` to `tmp`: Not a directory', 'invalid-argument'],
  ['writing file `cpuset.cpus`: Numerical result out of range', 'invalid-argument'],
  ['write /x/memory.limit_in_bytes: invalid argument', 'invalid-argument'],
  ['unable to set memory limit to 4096 (current usage: 1892352)', 'invalid-argument'],
  ['OOM: the memory limit could be too low', 'invalid-argument'],
  ['cannot start an already running container', 'failed-precondition'],
  ['cannot open `/oci/1/exec.fifo`: No such file or directory', 'failed-precondition'],
  ['  ', 'internal'],
] as const)('what a runtime refuses with "%s" is %s', ([text, kind]) => {
  expect(refusal('container 1: runc create', text, 1)).toMatchObject({
    kind,
    message: expect.stringContaining('container 1: runc create: '),
  })
})

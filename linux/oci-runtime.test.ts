import { expect, test } from 'vitest'
import { bundleConfig, runtimeMessage } from './oci-runtime.ts'

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

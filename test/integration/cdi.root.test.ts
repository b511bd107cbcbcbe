import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CdiDirectories } from '#linux/cdi-directories.ts'
import { applyEdits, NO_EDITS } from '#runtime/oci-spec/apply-edits.ts'
import { ociLab, request, shell } from './oci-lab.ts'

let lab: ReturnType<typeof ociLab>
let directory: string
beforeAll(() => {
  lab = ociLab()
  directory = mkdtempSync('/var/lib/cri-ts-test-cdi-')
})
afterAll(async () => {
  rmSync(directory, { recursive: true })
  await lab[Symbol.asyncDispose]()
})
const onEach = test.for(['runc', 'crun'] as const)

/** A hook that keeps what it was given, as a CDI vendor's would act on it. */
function hookProgram(name: string): string {
  const path = join(directory, name)
  writeFileSync(path, '#!/bin/sh\n(cat; echo; echo "$MODE") > "$1"\n', { mode: 0o755 })
  return path
}

onEach('%s: all that a CDI device says is in the container', async (runtime) => {
  const specs = join(directory, runtime)
  const state = join(specs, 'state')
  mkdirSync(join(specs, 'lib'), { recursive: true })
  writeFileSync(join(specs, 'lib/driver'), 'driver\n')
  const yaml = `
cdiVersion: 0.7.0
kind: example.com/gpu
containerEdits:
  additionalGids: [4444]
  mounts:
  - { hostPath: ${specs}/lib, containerPath: /opt/lib, options: [ro, rbind] }
devices:
- name: gpu0
  containerEdits:
    env: [GPU=0]
    deviceNodes:
    - { path: /dev/gpu0, hostPath: /dev/fuse, permissions: r, fileMode: 0640, gid: 4444 }
    hooks:
    - { hookName: createRuntime, path: ${hookProgram(`${runtime}-hook`)}, args: [hook, ${state}], env: [MODE=strict] }
`
  writeFileSync(join(specs, 'gpu.yaml'), yaml)
  const edits = await new CdiDirectories([specs]).edits(['example.com/gpu=gpu0'])
  const script = `echo $GPU; id -G; cat /opt/lib/driver; touch /opt/lib/x; stat -c '%t:%T %a %u:%g' /dev/gpu0
    (: < /dev/gpu0) && echo read; (: > /dev/gpu0) || echo not written`
  await using container = lab.container(runtime, (base) => applyEdits(request(shell(script))(base), edits))
  const { stdout, stderr } = await container.run()
  expect(stdout.toString()).toBe('0\n0 4444\ndriver\na:e5 640 0:4444\nread\nnot written\n')
  expect(stderr).toContain('/opt/lib/x: Read-only')
  const [mode, ...json] = readFileSync(state, 'utf8').trim().split('\n').toReversed()
  expect(JSON.parse(json.toReversed().join(''))).toMatchObject({ id: container.id, bundle: container.bundle })
  expect(mode).toBe('strict')
})

onEach('%s: a hook that fails fails the creation', async (runtime) => {
  const edit = { ...NO_EDITS, hooks: [{ stage: 'createRuntime', path: '/bin/false' }] } as const
  await using container = lab.container(runtime, (base) =>
    applyEdits(request(shell('echo ran'))(base), [edit]),
  )
  const { exitCode, stdout } = await container.run()
  expect(exitCode).not.toBe(0)
  expect(stdout.toString()).toBe('')
})

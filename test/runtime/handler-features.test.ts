import { expect, test } from 'vitest'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

const mounts = [
  {
    containerPath: '/data',
    hostPath: '/srv',
    readonly: true,
    recursiveReadonly: true,
    propagation: 'private',
  },
] as const

test.for([
  ['runc', undefined],
  ['crun', "mount of /srv at /data: runtime handler crun can't make it recursively read-only"],
] as const)(
  'a recursively read-only mount needs a handler that can make it: %s',
  async ([handler, refusal]) => {
    const lab = runtimeLab()
    const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec({ handler }))
    const created = lab.runtime.containers.create(containerSpec({ sandboxId, mounts }))
    if (refusal === undefined) await expect(created).resolves.toMatch(/^[0-9a-f]{64}$/)
    else
      await expect(created).rejects.toMatchObject({
        kind: 'failed-precondition',
        message: expect.stringContaining(refusal),
      })
    expect(lab.runtime.containers.list()).toHaveLength(refusal === undefined ? 1 : 0)
  },
)

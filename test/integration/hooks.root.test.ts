import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHookDirectories } from '#linux/hook-directories.ts'
import { applyEdits, NO_EDITS } from '#runtime/oci-spec/apply-edits.ts'
import { matchingHooks } from '#runtime/oci-spec/matching-hooks.ts'
import { ociLab, request, shell } from './oci-lab.ts'

let lab: ReturnType<typeof ociLab>
let directory: string
beforeAll(() => {
  lab = ociLab()
  directory = mkdtempSync('/var/lib/cri-ts-test-hooks-')
})
afterAll(async () => {
  rmSync(directory, { recursive: true })
  await lab[Symbol.asyncDispose]()
})
const onEach = test.for(['runc', 'crun'] as const)

/** Those that run in the host's mount namespace, in the order of a container's life; prestart is the old createRuntime. */
const stages = ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'] as const

onEach(
  '%s: hooks of a directory run at their stages, with the state of the container on stdin',
  async (runtime) => {
    const home = join(directory, runtime)
    mkdirSync(home)
    const program = join(home, 'hook')
    writeFileSync(program, `#!/bin/sh\necho "$1" >> ${home}/order\ncat > ${home}/$1\n`, { mode: 0o755 })
    for (const stage of stages) {
      const file = {
        version: '1.0.0',
        hook: { path: program, args: ['hook', stage] },
        when: { always: true },
      }
      writeFileSync(join(home, `${stage}.json`), JSON.stringify({ ...file, stages: [stage] }))
    }
    const plain = {
      version: '1.0.0',
      hook: { path: '/bin/true' },
      when: { always: true },
      stages: ['createRuntime'],
    }
    writeFileSync(join(home, 'without-args.json'), JSON.stringify(plain))
    const files = await createHookDirectories([home]).files()
    const subject = { annotations: {}, program: '/bin/sh', hasBindMounts: false }
    const hooks = matchingHooks(files, subject)
    const container = lab.container(runtime, (base) =>
      applyEdits(request(shell('exit 0'))(base), [{ ...NO_EDITS, hooks }]),
    )
    const { exitCode, stderr } = await container.run()
    expect(`${stderr}${exitCode}`).toBe('0')
    await container[Symbol.asyncDispose]()
    expect(readFileSync(join(home, 'order'), 'utf8').trim().split('\n')).toEqual(stages)
    for (const stage of stages) {
      expect(JSON.parse(readFileSync(join(home, stage), 'utf8')), stage).toMatchObject({
        id: container.id,
        bundle: container.bundle,
      })
    }
  },
)

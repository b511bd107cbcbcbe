import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type CritestOptions, type CritestResult, runCritest, specNames } from './critest.ts'
import type { Daemon } from './daemon.ts'
import { type LeakCheck, startLeakCheck } from './leak-check.ts'
import { IMAGE } from './pod.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** hack/test prints it. */
    skipReason?: string
  }
}

/**
 * A run of critest whose every spec is a test of its own: failed with its message, or skipped with its reason. What
 * critest leaves behind by its nature is removed (images that it pulled, the segments it made on the host, pods of
 * specs that have failed); anything else that is left makes the last test fail.
 */
export function describeCritest(name: string, daemon: () => Daemon, options: CritestOptions): void {
  describe(name, () => {
    let leaks: LeakCheck
    let result: CritestResult
    beforeAll(async () => {
      leaks = startLeakCheck(daemon().scope)
      const segments = sharedMemory()
      result = await runCritest(daemon(), options)
      for (const id of sharedMemory().difference(segments)) execFileSync('ipcrm', ['-m', id])
    }, options.timeoutMs + 10_000)

    test.for(specNames(options.flags))('%s', (spec, { skip, task }) => {
      const { state, message, journal } = result.specs.get(spec) ?? lost(result)
      if (state === 'skipped') {
        task.meta.skipReason = message
        skip(message)
      }
      expect(state, `${message}\n${journal}`).toBe('passed')
    })

    test('nothing is left', async () => {
      await removePods(daemon())
      await removeImages(daemon())
      await leaks.expectNone(10_000)
    })
  })
}

function lost({ output }: CritestResult): never {
  throw new Error(`critest did not run it:\n${output.slice(-2000)}`)
}

/** Those of specs that have failed. */
async function removePods(daemon: Daemon): Promise<void> {
  for (const { id } of (await daemon.rpc('ListPodSandbox', {}))['items']) {
    await daemon.rpc('StopPodSandbox', { pod_sandbox_id: id })
    await daemon.rpc('RemovePodSandbox', { pod_sandbox_id: id })
  }
}

async function removeImages(daemon: Daemon): Promise<void> {
  const { images } = await daemon.rpc('ListImages', {})
  const pulled = images.filter(
    ({ repo_tags }: { repo_tags: readonly string[] }) => !repo_tags.includes(IMAGE),
  )
  for (const { id } of pulled) await daemon.rpc('RemoveImage', { image: { image: id } })
}

const sharedMemory = (): ReadonlySet<string> =>
  new Set(
    readFileSync('/proc/sysvipc/shm', 'utf8')
      .split('\n')
      .slice(1)
      .flatMap((line) => line.trim().split(/\s+/)[1] ?? []),
  )

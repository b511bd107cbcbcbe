import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, vi } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

const daemon = useDaemon({ config: '[image]\nformat = "erofs"' })
const mounts = (): readonly string[] => readdirSync(join(daemon().state, 'layers'))
/** Layers are unmounted in the background. */
const unmounted = () => vi.waitFor(() => expect(mounts()).toEqual([]), { timeout: 5_000 })
beforeAll(async () => void (await unmounted()))

testOnEach(
  '%s: containers run from layers that are mounted files, which are unmounted when the last is gone',
  async (handler) => {
    {
      await using pod = await runPod(daemon(), handler)
      const container = await pod.run()
      expect(await container.exec('sh', '-c', 'echo new >/bin/new && cat /bin/new')).toBe('new')
      expect(mounts()).toHaveLength(1)
      await daemon().kill9()
      await daemon().start()
      expect(await container.exec('cat', '/bin/new')).toBe('new')
      await (await pod.run()).exec('busybox', 'true')
      expect(mounts()).toHaveLength(1)
    }
    await unmounted()
  },
)

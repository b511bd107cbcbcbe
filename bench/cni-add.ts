import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createPodNetwork } from '#cni/pod-network.ts'
import { runCommand } from '#linux/command.ts'
import { createObjectLocks } from '#linux/object-lock.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { Samples } from './samples.ts'
import type { Result } from './scenarios.ts'

const run = promisify(execFile)
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** The plugins' ADD and DEL of the first conf list in `confDir` alone, without a pod: what is left of a pod's start is ours. */
export async function cniAdd(confDir: string, count: number): Promise<Result> {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-bench-cni-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const watcher = stack.use(new ProcessWatcher())
  const locks = createObjectLocks(join(directory, 'locks'))
  const network = createPodNetwork({
    confDir,
    cacheDir: join(directory, 'cache'),
    binDirs: ['/opt/cni/bin', '/usr/lib/cni'],
    lock: (sandboxId) => locks.hold(sandboxId),
    run: (command) => runCommand(watcher, command),
    log: silent,
  })
  const samples = new Samples()
  for (let n = 0; n <= count; n += 1) {
    const name = `cri-ts-bench-${n}`
    const netnsPath = join('/run/netns', name)
    await run('ip', ['netns', 'add', name])
    const request = {
      ...{ sandboxId: name, netnsPath, dns: undefined, annotations: {}, cgroupParent: '', portMappings: [] },
      pod: { name, namespace: 'bench', uid: name, attempt: 0 },
    }
    const timed = n === 0 ? new Samples() : samples // The first one makes the bridge.
    await timed.time('CNI ADD', () => network.attach(request))
    await timed.time('CNI DEL', () => network.detach(name, netnsPath))
    await run('ip', ['netns', 'del', name])
  }
  return { latencies: samples.latencies(), figures: [] }
}

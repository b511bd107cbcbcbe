import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runCommand } from './command.ts'
import { WorkerHostPaths } from './host-paths.ts'
import { mount, unmount } from './libc.ts'
import { ProcessWatcher } from './process-watcher.ts'

/** A FUSE file system whose server never answers: what looks into it hangs in the kernel, as on a dead NFS. */
async function deadFileSystem() {
  const directory = mkdtempSync('/var/lib/cri-ts-test-')
  const mountPoint = join(directory, 'dead')
  mkdirSync(mountPoint)
  const server = openSync('/dev/fuse', 'r+')
  mount('dead', mountPoint, 'fuse', 0, `fd=${server},rootmode=40000,user_id=0,group_id=0`)
  return {
    mountPoint,
    async [Symbol.asyncDispose]() {
      closeSync(server) // Lets go of all that hang.
      await unmount(mountPoint)
      rmSync(directory, { recursive: true })
    },
  }
}

test('a dead file system costs its own requests their deadline, and no other anything', async () => {
  await using paths = new WorkerHostPaths({ deadlineMs: 2000 })
  await using dead = await deadFileSystem()
  const hanging = Promise.allSettled([1, 2, 3].map((n) => paths.mountSource(join(dead.mountPoint, `${n}`))))
  expect(await paths.mountSource('/etc')).toMatchObject({ path: '/etc', kind: 'directory' })
  for (const outcome of await hanging) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'deadline-exceeded' } })
  }
  expect(await paths.mountSource('/etc')).toMatchObject({ path: '/etc', kind: 'directory' })
})

test('a dead file system takes few threads, however often it is asked for, and is looked at again when it answers', async () => {
  await using paths = new WorkerHostPaths({ deadlineMs: 500 })
  const dead = await deadFileSystem()
  const ask = (n: number) => paths.mountSource(join(dead.mountPoint, `${n}`)).catch((error: unknown) => error)
  const before = readdirSync('/proc/self/task').length
  await Promise.all(Array.from({ length: 20 }, (_, n) => ask(n)))
  for (let n = 20; n < 60; n += 1) expect(await ask(n)).toMatchObject({ kind: 'unavailable' })
  expect(readdirSync('/proc/self/task').length - before).toBeLessThanOrEqual(4)
  await dead[Symbol.asyncDispose]()
  await expect.poll(() => ask(0)).not.toMatchObject({ kind: 'unavailable' })
})

test('a process with a hung worker can still end, by exitNow', async () => {
  await using watcher = new ProcessWatcher()
  await using dead = await deadFileSystem()
  const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
  const program = `
    import { exitNow } from '${here('./exit-now.ts')}'
    import { WorkerHostPaths } from '${here('./host-paths.ts')}'
    const paths = new WorkerHostPaths({ deadlineMs: 200 })
    await paths.mountSource('${dead.mountPoint}/x').catch(() => exitNow(7))`
  const argv = [process.execPath, '--input-type=module', '--eval', program] as const
  expect(await runCommand(watcher, { argv, timeoutMs: 20_000 })).toMatchObject({ exitCode: 7 })
})

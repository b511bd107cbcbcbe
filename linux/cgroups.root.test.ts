import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Cgroup, cgroupAt, readHierarchies } from './cgroups.ts'
import { posixSpawn } from './posix-spawn.ts'
import { processOf } from './proc.ts'
import { ProcessWatcher } from './process-watcher.ts'

const hierarchies = readHierarchies()
const name = `/${process.env['CRI_TS_ISOLATED'] ?? 'cri-ts-test'}-${process.pid}`
const paths = (below = ''): readonly string[] => hierarchies.mounts.map(({ path }) => join(path, name, below))
const freezer = hierarchies.mounts.find((mount) => hierarchies.version === 1 && mount.name === 'freezer')

let watcher: ProcessWatcher
let cgroup: Cgroup
beforeEach(() => {
  watcher = new ProcessWatcher()
  cgroup = cgroupAt(hierarchies, name)
})
afterEach(async () => {
  await cgroup.remove()
  await watcher[Symbol.asyncDispose]()
})

/** A shell in the cgroup (or one below) that runs a script; `ended` when it has. */
function run(script: string, below = '') {
  const join = paths(below).map((path) => `echo $$ > ${path}/cgroup.procs`)
  const argv = ['/bin/sh', '-c', `${join.join('\n')}\n${script}`] as const
  const pid = posixSpawn({ argv, env: { PATH: '/usr/bin:/bin' }, fds: [0, 1, 2] })
  return { pid, ended: watcher.ended(pid) }
}

test('a cgroup is made in every hierarchy, and removed with what is below it', async () => {
  cgroup.create()
  const child = cgroup.child('exec-0')
  child.create()
  expect(paths('exec-0').every((path) => existsSync(path))).toBe(true)
  await cgroup.remove()
  await cgroup.remove()
  expect(paths().some((path) => existsSync(path))).toBe(false)
})

test('below a parent that is not there nothing is made', () => {
  cgroup.child('exec-0').create()
  expect(paths().some((path) => existsSync(path))).toBe(false)
})

test('a kill reaches what left its session, what is below, and what is forked meanwhile', async () => {
  cgroup.create()
  cgroup.child('below').create()
  const forking = run('while :; do setsid sleep 600 & setsid sleep 600 & sleep 0.001; done')
  const below = run('setsid sleep 600 & wait', 'below')
  await expect.poll(() => cgroup.processes().length).toBeGreaterThan(10)
  await expect.poll(() => cgroup.child('below').processes().length).toBe(2)
  cgroup.kill()
  expect(await forking.ended).toMatchObject({ signal: 9 })
  expect(await below.ended).toMatchObject({ signal: 9 })
  await expect.poll(() => cgroup.processes()).toEqual([])
})

test.skipIf(hierarchies.version === 2)(
  'a process that has left all hierarchies but one is seen, and killed',
  async () => {
    cgroup.create()
    const ended = hierarchies.mounts.map(async ({ path }) => {
      const argv = ['/bin/sh', '-c', `echo $$ > ${join(path, name)}/cgroup.procs; exec sleep 600`] as const
      const pid = posixSpawn({ argv, env: { PATH: '/usr/bin:/bin' }, fds: [0, 1, 2] })
      return await watcher.ended(pid)
    })
    await expect.poll(() => cgroup.processes().length).toBe(hierarchies.mounts.length)
    cgroup.kill()
    for (const exit of await Promise.all(ended)) expect(exit).toMatchObject({ signal: 9 })
  },
)

test('a cgroup in use is removed with what runs in it', async () => {
  cgroup.create()
  const { pid, ended } = run('sleep 600 & wait')
  await expect.poll(() => cgroup.processes().length).toBe(2)
  await cgroup.remove()
  await ended
  expect(processOf(pid)).toBeUndefined()
  expect(cgroup.processes()).toEqual([])
})

test('what the OOM killer killed is counted, also below it where the kernel does', async () => {
  cgroup.create()
  expect(cgroup.oomKills()).toBe(0)
  const memory = hierarchies.mounts.find((mount) => /memory|unified/.test(mount.name))?.path ?? ''
  const limit = hierarchies.version === 1 ? 'memory.limit_in_bytes' : 'memory.max'
  writeFileSync(join(memory, name, limit), `${16 << 20}`)
  const swap = join(memory, name, 'memory.memsw.limit_in_bytes')
  if (existsSync(swap)) writeFileSync(swap, `${16 << 20}`)
  const { ended } = run('x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo $x')
  await ended
  expect(cgroup.oomKills()).toBeGreaterThan(0)
  await cgroup.remove()
  expect(cgroup.oomKills()).toBeUndefined()
})

// A frozen cgroup of version 1 holds back SIGKILL, as a dead NFS does.
test.skipIf(freezer === undefined)(
  'a process that does not die is told of, and a later try succeeds',
  async () => {
    cgroup.create()
    const { pid, ended } = run('sleep 600 & wait')
    await expect.poll(() => cgroup.processes().length).toBe(2)
    const state = join(freezer?.path ?? '', name, 'freezer.state')
    writeFileSync(state, 'FROZEN')
    try {
      await expect.poll(() => readFileSync(state, 'utf8')).toBe('FROZEN\n')
      await expect(cgroup.remove(100)).rejects.toMatchObject({
        kind: 'deadline-exceeded',
        message: expect.stringMatching(new RegExp(`${name}.* in use after 0.1 s by .*${pid}.*state D`)),
      })
    } finally {
      writeFileSync(state, 'THAWED')
    }
    await cgroup.remove()
    await ended
  },
)

test('what others have made below the cgroup goes with it', async () => {
  cgroup.create()
  for (const path of paths('a/b/c')) mkdirSync(path, { recursive: true })
  await cgroup.remove()
  expect(paths().some((path) => existsSync(path))).toBe(false)
})

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WorkerHostPaths } from './host-paths.ts'

/** Hangs in /hang…, fails in /crash, else echoes the path. */
const worker = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads'
    parentPort.postMessage('loaded')
    parentPort.on('message', ({ path }) => {
      if (path.startsWith('/hang')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      if (path === '/crash') throw new Error('out of luck')
      parentPort.postMessage(path === '/refuse'
        ? { error: { kind: 'invalid-argument', message: 'no such thing' } }
        : { result: { path, kind: 'directory' } })
    })`)}`,
)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

test('requests are answered by a worker', async () => {
  await using paths = new WorkerHostPaths({ worker })
  expect(await paths.mountSource('/srv')).toEqual({ path: '/srv', kind: 'directory' })
  await expect(paths.mountSource('/refuse')).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: 'no such thing',
  })
})

test('a path that hangs is given up at its deadline, by name', async () => {
  await using paths = new WorkerHostPaths({ worker, deadlineMs: 10_000 })
  const hanging = paths.mountSource('/hang')
  vi.advanceTimersByTime(10_000)
  await expect(hanging).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: expect.stringContaining('/hang did not answer within 10 s'),
  })
  expect(await paths.mountSource('/srv')).toMatchObject({ path: '/srv' })
})

test('a log directory that hangs is given up at its deadline', async () => {
  await using paths = new WorkerHostPaths({ worker, deadlineMs: 10_000 })
  const hanging = paths.makeLogDirectory('/hang/logs')
  vi.advanceTimersByTime(10_000)
  await expect(hanging).rejects.toMatchObject({ kind: 'deadline-exceeded' })
})

test('other paths are answered while some hang', async () => {
  await using paths = new WorkerHostPaths({ worker })
  const hanging = ['/hang/1', '/hang/2', '/hang/3'].map((path) => paths.mountSource(path))
  expect(await paths.mountSource('/srv')).toMatchObject({ path: '/srv' })
  const given = Promise.allSettled(hanging)
  vi.advanceTimersByTime(10_000)
  expect((await given).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
})

test('what waits behind paths that hang is answered once they are given up', async () => {
  await using paths = new WorkerHostPaths({ worker })
  const hanging = ['/hang/1', '/hang/2', '/hang/3', '/hang/4'].map((path) => paths.mountSource(path))
  const given = Promise.allSettled(hanging)
  const waiting = paths.mountSource('/srv')
  vi.advanceTimersByTime(10_000)
  await given
  expect(await waiting).toMatchObject({ path: '/srv' })
})

test('a fresh path waits a second for paths that may hang, and not for their deadline', async () => {
  await using paths = new WorkerHostPaths({ worker })
  const given = Promise.allSettled([1, 2, 3, 4].map((n) => paths.mountSource(`/hang/${n}`)))
  const waiting = paths.mountSource('/srv')
  vi.advanceTimersByTime(1_000)
  expect(await waiting).toMatchObject({ path: '/srv' })
  vi.advanceTimersByTime(9_000)
  await given
})

test('what hangs is refused at once with what is below it, what waited for it too, until it lets go', async () => {
  await using paths = new WorkerHostPaths({ worker })
  const first = paths.mountSource('/hang')
  vi.advanceTimersByTime(1_000)
  const waiting = paths.mountSource('/hang/waiting')
  vi.advanceTimersByTime(9_000)
  const late = paths.mountSource('/hang/late')
  const other = paths.mountSource('/srv')
  await expect(first).rejects.toMatchObject({ kind: 'deadline-exceeded' })
  for (const refused of [waiting, late]) {
    await expect(refused).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/while these do not answer: \/hang: .*umount -f/),
    })
  }
  expect(await other).toMatchObject({ path: '/srv' })
  // The kernel lets go of this one at once, and then it is looked at again.
  await expect.poll(() => kindOf(paths.mountSource('/hang'))).toBe('deadline-exceeded')
})

test('no more than sixteen hang at a time: then all is refused at once', async () => {
  await using paths = new WorkerHostPaths({ worker })
  const hanging = Array.from({ length: 16 }, (_, n) => paths.mountSource(`/hang${n}`))
  const given = Promise.allSettled(hanging)
  vi.advanceTimersByTime(4_000)
  await expect(paths.mountSource('/srv')).rejects.toMatchObject({ kind: 'unavailable' })
  vi.advanceTimersByTime(10_000)
  for (const outcome of await given) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'deadline-exceeded' } })
  }
})

/** How a look ends that is given no time. */
async function kindOf(look: Promise<unknown>): Promise<unknown> {
  vi.advanceTimersByTime(10_000)
  return look.then(
    () => 'answered',
    (error: { readonly kind: string }) => error.kind,
  )
}

test('a worker that fails fails its own request only', async () => {
  await using paths = new WorkerHostPaths({ worker })
  await expect(paths.mountSource('/crash')).rejects.toThrow('/crash')
  expect(await paths.mountSource('/srv')).toMatchObject({ path: '/srv' })
})

test('a worker that has been idle is ended, and the next request gets another', async () => {
  await using paths = new WorkerHostPaths({ worker, idleMs: 5000 })
  await paths.mountSource('/srv')
  vi.advanceTimersByTime(5000)
  expect(await paths.mountSource('/srv')).toMatchObject({ path: '/srv' })
})

test('the real worker looks at the real host', async () => {
  await using paths = new WorkerHostPaths()
  expect(await paths.mountSource('/dev/null')).toMatchObject({ path: '/dev/null', kind: 'other' })
  expect(await paths.mountSource('/', { propagates: true })).toMatchObject({
    kind: 'directory',
    propagation: expect.any(String),
  })
  const [device] = await paths.devices({
    hostPath: '/dev/null',
    containerPath: '/dev/nil',
    permissions: 'rw',
  })
  expect(device).toMatchObject({ path: '/dev/nil', type: 'c', major: 1, minor: 3, permissions: 'rw' })
  expect((await paths.allDevices()).map(({ path }) => path)).toContain('/dev/null')
  await expect(paths.mountSource('srv')).rejects.toMatchObject({ kind: 'invalid-argument' })
})

test('a worker that is slow to load is not ended before it has: koffi would take the process with it', async () => {
  const slow = `
    import { BroadcastChannel, parentPort } from 'node:worker_threads'
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    new BroadcastChannel('slow-worker').postMessage('is whole')
    parentPort.postMessage('loaded')`
  const told = Promise.withResolvers<unknown>()
  const channel = new BroadcastChannel('slow-worker')
  channel.onmessage = ({ data }: { data: unknown }) => told.resolve(data)
  await using paths = new WorkerHostPaths({
    worker: new URL(`data:text/javascript,${encodeURIComponent(slow)}`),
    deadlineMs: 1000,
  })
  const asked = paths.mountSource('/a')
  vi.advanceTimersByTime(1000)
  await expect(asked).rejects.toMatchObject({ kind: 'deadline-exceeded' })
  expect(await told.promise).toBe('is whole')
  channel.close()
})

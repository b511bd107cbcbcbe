import { setImmediate as settled } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { TreeUsage } from '#linux/tree-usage.ts'
import { WrittenUsages } from './written-usages.ts'

const noLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function lab() {
  const trees = new Map<string, TreeUsage | Error>()
  const measured: string[] = []
  const time = { ms: 1000 }
  const written = new WrittenUsages({
    path: '/root',
    directoryOf: (id) => `/root/${id}`,
    disk: {
      async measure(path) {
        measured.push(path)
        const tree = trees.get(path) ?? { usedBytes: 0, usedInodes: 0, isWhole: true, tookMs: 1 }
        if (tree instanceof Error) throw tree
        return tree
      },
    },
    clock: { nowNs: () => `${time.ms}000000` },
    log: noLog,
    nowMs: () => time.ms,
  })
  return { trees, measured, time, written }
}

const tree = (usedBytes: number, changes: Partial<TreeUsage> = {}): TreeUsage => ({
  ...{ usedBytes, usedInodes: 2, isWhole: true, tookMs: 1 },
  ...changes,
})

test('asking never waits: the first answer is none, a later one what was measured meanwhile', async () => {
  const { trees, measured, written } = lab()
  trees.set('/root/c1', tree(100))
  expect(written.of('c1')).toBeUndefined()
  await settled()
  expect(written.of('c1')).toEqual({ atNs: '1000000000', path: '/root', usedBytes: 100, usedInodes: 2 })
  expect(measured).toEqual(['/root/c1'])
})

test('it is measured again after ten seconds', async () => {
  const { trees, measured, time, written } = lab()
  trees.set('/root/c1', tree(100))
  written.of('c1')
  await settled()
  time.ms += 9_999
  written.of('c1')
  expect(measured).toHaveLength(1)
  time.ms += 1
  trees.set('/root/c1', tree(200))
  written.of('c1')
  await settled()
  expect(written.of('c1')?.usedBytes).toBe(200)
})

test('what takes long is measured seldom: at most a twentieth of the time', async () => {
  const { trees, measured, time, written } = lab()
  trees.set('/root/c1', tree(100, { tookMs: 5_000 }))
  written.of('c1')
  await settled()
  time.ms += 99_999
  written.of('c1')
  expect(measured).toHaveLength(1)
  time.ms += 1
  written.of('c1')
  expect(measured).toHaveLength(2)
})

test('a part that was measured makes what is known no smaller', async () => {
  const { trees, time, written } = lab()
  trees.set('/root/c1', tree(500))
  written.of('c1')
  await settled()
  for (const [found, known] of [
    [300, 500],
    [700, 700],
  ] as const) {
    trees.set('/root/c1', tree(found, { isWhole: false }))
    time.ms += 10_000
    written.of('c1')
    await settled()
    expect(written.of('c1')?.usedBytes).toBe(known)
  }
})

test('the total is of all that were measured and not forgotten', async () => {
  const { trees, written } = lab()
  for (const id of ['c1', 'c2', 'c3']) {
    if (id !== 'c3') trees.set(`/root/${id}`, tree(100))
    written.of(id)
  }
  await settled()
  expect(written.total()).toEqual({ usedBytes: 200, usedInodes: 4 })
  written.forget('c1')
  expect(written.total()).toEqual({ usedBytes: 100, usedInodes: 2 })
})

test('one that cannot be measured keeps what is known, and is tried again later', async () => {
  const { trees, time, written } = lab()
  trees.set('/root/c1', tree(100))
  written.of('c1')
  await settled()
  trees.set('/root/c1', new Error('EIO'))
  time.ms += 10_000
  written.of('c1')
  await settled()
  expect(written.of('c1')?.usedBytes).toBe(100)
  trees.set('/root/c1', tree(200))
  time.ms += 10_000
  written.of('c1')
  await settled()
  expect(written.of('c1')?.usedBytes).toBe(200)
})

import { expect, test } from 'vitest'
import { FakeTerminal } from '#test/fakes/fake-terminal.ts'
import { plainPullProgress } from './plain-pull-progress.ts'
import { pullLines } from './pull-lines.ts'
import { PullMeter, type ShownLayer } from './pull-meter.ts'
import { terminalPullProgress } from './terminal-pull-progress.ts'

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`
const layer = (letter: string, phase: ShownLayer['phase'], receivedBytes: number, sizeBytes: number) => ({
  digest: digest(letter),
  phase,
  receivedBytes,
  sizeBytes,
})

/** A pull two seconds after its layers began. */
function halfway(): PullMeter {
  const meter = new PullMeter()
  const begun = {
    0: layer('a', 'here', 0, 29_000_000),
    1: layer('b', 'fetching', 0, 45_600_000),
    2: layer('c', 'fetching', 0, 1_000),
    3: layer('d', 'waiting', 0, 7_000_000),
  }
  meter.update(begun, 1_000)
  meter.update(
    { 1: layer('b', 'fetching', 12_300_000, 45_600_000), 2: layer('c', 'unpacking', 1_000, 1_000) },
    3_000,
  )
  return meter
}

const at = {
  reference: 'registry.example/app:1',
  columns: 80,
  rows: 24,
  nowMs: 3_000,
  elapsedMs: 62_500,
  isDone: false,
}

test('a layer has its line, with its bytes and their rate while it is fetched, and there is a total', () => {
  expect(pullLines(halfway(), at)).toEqual([
    'pulling registry.example/app:1',
    'aaaaaaaaaaaa  already here     29MB',
    'bbbbbbbbbbbb  fetching       12.3MB/45.6MB   [====>                ]   6.15MB/s',
    'cccccccccccc  unpacking         1kB',
    'dddddddddddd  waiting           7MB',
    '1/4 layers    1:02           12.3MB/52.6MB   [===>                 ]   6.15MB/s',
  ])
})

test('at the end the mean rate is shown', () => {
  const meter = halfway()
  const done = { 1: 45_600_000, 2: 1_000, 3: 7_000_000 }
  const layers = Object.entries(done).map(([index, bytes]) => [index, layer('x', 'done', bytes, bytes)])
  meter.update(Object.fromEntries(layers), 10_000)
  expect(pullLines(meter, { ...at, nowMs: 10_000, elapsedMs: 10_000 }).at(-1)).toBe(
    '4/4 layers    0:10           52.6MB/52.6MB   [=====================]   5.26MB/s',
  )
})

test('a pull that had nothing to fetch says so, with a terminal and without', () => {
  const terminal = new FakeTerminal(80)
  using shown = terminalPullProgress('a:1', terminal, () => 0)
  expect(terminal.screen).toEqual(['pulling a:1'])
  shown.finish()
  expect(terminal.screen).toEqual(['pulling a:1', 'nothing was fetched: it is here already'])
  let text = ''
  plainPullProgress(
    'a:1',
    (more) => (text += more),
    () => 0,
  ).finish()
  expect(text).toBe('pulling a:1\nnothing was fetched: it is here already\n')
})

test.for([200, 80, 60, 40, 20, 10, 3, 1])('every line is shorter than %d columns', (columns) => {
  const lines = pullLines(halfway(), { ...at, columns })
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(Math.max(columns, 2))
})

test('where a terminal has too few rows, the layers under way stay', () => {
  const meter = new PullMeter()
  const phases = ['done', 'done', 'waiting', 'fetching', 'waiting', 'unpacking', 'here'] as const
  const changed = Object.fromEntries(phases.map((phase, index) => [index, layer(String(index), phase, 1, 2)]))
  meter.update(changed, 0)
  const lines = pullLines(meter, { ...at, rows: 7 })
  expect(lines.map((line) => line.slice(0, 12))).toEqual([
    'pulling regi',
    '222222222222',
    '333333333333',
    '555555555555',
    '… and 4 more',
    '3/7 layers  ',
  ])
})

test('a rate is that of the last three seconds: it falls when nothing comes', () => {
  const meter = new PullMeter()
  for (let second = 0; second <= 10; second += 1) {
    meter.update({ 0: layer('a', 'fetching', second * 1000, 100_000) }, second * 1000)
  }
  expect(meter.rate(0, 10_000)).toBe(1000)
  expect(meter.rate(0, 11_500)).toBeCloseTo(1000 * (2 / 3.5), -2)
  expect(meter.rate(0, 20_000)).toBe(0)
})

test('a layer that is fetched anew has no negative rate', () => {
  const meter = new PullMeter()
  for (const [nowMs, bytes] of [
    [0, 0],
    [1000, 5000],
    [2000, 0],
    [3000, 100],
  ] as const) {
    meter.update({ 0: layer('a', 'fetching', bytes, 9000) }, nowMs)
  }
  expect(meter.rate(0, 3000)).toBe(100)
})

test('without a terminal each layer that is ready has a line, and the bytes one in five seconds', () => {
  let [text, nowMs] = ['', 0]
  const view = plainPullProgress(
    'a:1',
    (more) => (text += more),
    () => nowMs,
  )
  view.update({ 0: layer('a', 'here', 0, 500), 1: layer('b', 'fetching', 0, 10_000) })
  for (nowMs = 100; nowMs <= 12_000; nowMs += 100) {
    view.update({ 1: layer('b', 'fetching', nowMs / 2, 10_000) })
  }
  view.update({ 1: layer('b', 'done', 10_000, 10_000) })
  view.finish()
  expect(text).toBe(
    `pulling a:1\n2 layers, 10.5kB\n${digest('a')} is here already (1/2)\n` +
      'fetched 2.5kB of 10kB, 500B/s (1/2 layers ready)\n' +
      'fetched 5kB of 10kB, 500B/s (1/2 layers ready)\n' +
      `${digest('b')} done, 10kB (2/2)\n`,
  )
})

test('on a terminal the last state stays, at the width that the terminal has by then', () => {
  const terminal = new FakeTerminal(80)
  const view = terminalPullProgress('a:1', terminal, () => 0)
  view.update({ 0: layer('a', 'fetching', 100, 2_000) })
  terminal.resize(40)
  expect(terminal.screen).toEqual([
    'pulling a:1',
    'aaaaaaaaaaaa  fetching         100B/2k…',
    '0/1 layers    0:00             100B/2k…',
  ])
  view.update({ 0: layer('a', 'done', 2_000, 2_000) })
  view.finish()
  view[Symbol.dispose]()
  expect(terminal.screen[1]).toBe('aaaaaaaaaaaa  done              2kB')
  expect(terminal.listeners).toBe(0)
})

import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TerminalSize } from '#runtime/monitor-port.ts'
import { terminalSizes } from './terminal-sizes.ts'

/** What is heard of a client that sends these chunks before and after somebody listens. */
async function heard(before: readonly string[], after: readonly string[] = []): Promise<TerminalSize[]> {
  const source = new PassThrough()
  const sizes: TerminalSize[] = []
  const listen = terminalSizes(source)
  const send = async (chunks: readonly string[]): Promise<void> => {
    for (const chunk of chunks) await new Promise((resolve) => source.write(chunk, resolve))
    await new Promise(setImmediate)
  }
  await send(before)
  listen((size) => sizes.push(size))
  await send(after)
  return sizes
}

test('each size is told, and the last one that came before anybody listened', async () => {
  const sizes = await heard(
    ['{"Width":80,"Height":24}\n{"Width":81,"Height":25}\n'],
    ['{"Width":1', '00,"Heig', 'ht":30}{"Width":101,"Height":31}'],
  )
  expect(sizes).toEqual([
    { columns: 81, rows: 25 },
    { columns: 100, rows: 30 },
    { columns: 101, rows: 31 },
  ])
})

test('what is no size is passed over', async () => {
  const sizes = await heard([
    '{"Width":0,"Height":24}',
    '{"Width":-1,"Height":24}{"Width":65536,"Height":1}{"Width":"80","Height":24}',
    `${'x'.repeat(2000)}`,
    '}{}[1]}{"Width":80,"Height":24}',
  ])
  expect(sizes).toEqual([{ columns: 80, rows: 24 }])
})

test('whatever comes, it is a size or nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string(), { maxLength: 5 }), async (chunks) => {
      for (const { columns, rows } of await heard(chunks)) expect(columns * rows).toBeGreaterThan(0)
    }),
    { numRuns: 50 },
  )
})

test('a client without sizes tells none', () => {
  terminalSizes(undefined)(() => expect.unreachable())
})

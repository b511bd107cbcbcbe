import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeTerminal } from '#test/fakes/fake-terminal.ts'
import { LiveLines } from './live-lines.ts'

test('lines change in place', () => {
  const terminal = new FakeTerminal()
  terminal.write('before\n')
  const lines = new LiveLines(terminal)
  lines.show(['one', 'two long'])
  lines.show(['one', 'two', 'three'])
  expect(terminal.screen).toEqual(['before', 'one', 'two', 'three'])
  lines.show(['four'])
  expect(terminal.screen).toEqual(['before', 'four'])
})

test('what is shown already is not written again', () => {
  const terminal = new FakeTerminal()
  const lines = new LiveLines(terminal)
  lines.show(['one', 'two'])
  lines.show(['one', 'two'])
  expect(terminal.writes).toHaveLength(1)
  lines.show(['one', 'too'])
  expect(terminal.writes.at(-1)).not.toContain('one')
})

test('nothing is cleared before it is written anew: no flicker', () => {
  const terminal = new FakeTerminal()
  const lines = new LiveLines(terminal)
  lines.show(['one', 'two'])
  lines.show(['1', '2'])
  expect(terminal.writes.at(-1)).toBe('\x1b[?2026h\x1b[2A\r1\x1b[K\n2\x1b[K\n\x1b[?2026l')
})

test('a terminal that becomes narrower shows no remains', () => {
  const terminal = new FakeTerminal(20)
  terminal.write('before\n')
  const lines = new LiveLines(terminal)
  terminal.onResize(() => lines.show(['ab', 'cd']))
  lines.show(['a'.repeat(19), 'b'.repeat(15)])
  terminal.resize(8)
  expect(terminal.screen).toEqual(['before', 'ab', 'cd'])
})

test('whatever was shown before, the screen shows the last lines', () => {
  const frame = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 }), { maxLength: 6 })
  fc.assert(
    fc.property(fc.array(fc.record({ frame, columns: fc.integer({ min: 10, max: 20 }) })), (frames) => {
      const terminal = new FakeTerminal(20)
      const lines = new LiveLines(terminal)
      for (const { frame, columns } of frames) {
        terminal.columns = columns
        lines.show(frame)
        expect(terminal.screen.join('\n').trimEnd()).toBe(frame.join('\n').trimEnd())
      }
    }),
  )
})

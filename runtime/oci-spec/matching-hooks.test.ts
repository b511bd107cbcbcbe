import { expect, test } from 'vitest'
import type { HookFile } from '../injection-port.ts'
import { matchingHooks } from './matching-hooks.ts'

const subject = { annotations: { owner: 'me', level: 'high' }, program: '/bin/sh', hasBindMounts: false }
type When = Partial<HookFile['when']>
const file = (when: When): HookFile => ({
  hook: { path: '/hook' },
  stages: ['poststop'],
  when: { annotations: [], commands: [], or: false, ...when },
})
const matches = (when: When, over: Partial<typeof subject> = {}) =>
  matchingHooks([file(when)], { ...subject, ...over }).length === 1

test.for<[When, boolean]>([
  [{}, false],
  [{ always: true }, true],
  [{ always: false }, false],
  [{ always: false, commands: [/sh$/] }, false],
  [{ always: false, commands: [/sh$/], or: true }, true],
  [{ commands: [/zsh$/, /^\/bin/] }, true],
  [{ commands: [/zsh$/] }, false],
  [{ always: true, commands: [/zsh$/] }, false],
  [{ annotations: [[/^own/, /^me$/]] }, true],
  [{ annotations: [[/^owner$/, /high/]] }, false],
  [{ annotations: [[/./, /^high$/]] }, true],
  [
    {
      annotations: [
        [/owner/, /me/],
        [/level/, /low/],
      ],
    },
    false,
  ],
  [
    {
      annotations: [
        [/owner/, /me/],
        [/level/, /low/],
      ],
      or: true,
    },
    true,
  ],
  [{ hasBindMounts: true }, false],
  [{ hasBindMounts: true, always: true, or: true }, true],
  [{ or: true }, false],
])('%o: %s', ([when, expected]) => {
  expect(matches(when)).toBe(expected)
})

test('bind mounts are those of the request', () => {
  expect(matches({ hasBindMounts: true }, { hasBindMounts: true })).toBe(true)
  expect(matches({ hasBindMounts: false, always: true }, { hasBindMounts: true })).toBe(false)
})

test('a hook runs at each of its stages, in the order of the files', () => {
  const first: HookFile = { ...file({ always: true }), stages: ['prestart', 'poststop'] }
  const second: HookFile = { ...file({ always: true }), hook: { path: '/second', timeout: 3 } }
  expect(matchingHooks([first, second], subject)).toEqual([
    { stage: 'prestart', path: '/hook' },
    { stage: 'poststop', path: '/hook' },
    { stage: 'poststop', path: '/second', timeout: 3 },
  ])
})

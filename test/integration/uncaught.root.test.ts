import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const project = new URL('../../', import.meta.url).pathname

test.for([
  ['an exception', "setTimeout(() => { throw new Error('the bug') }, 10)"],
  ['a rejection', "Promise.reject(new Error('the bug'))"],
] as const)(
  '%s that nobody catches ends the daemon, whose threads sleep, and is logged',
  async ([, fault]) => {
    const script = `
    const { endOnBugs } = await import('${project}serve.ts')
    const { createLogger } = await import('${project}config/logger.ts')
    const { ProcessWatcher } = await import('${project}linux/process-watcher.ts')
    endOnBugs(createLogger({ level: 'info', format: 'json' }))
    void new ProcessWatcher().ended(1)
    ${fault}`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect([status, said]).toEqual([
      1,
      expect.stringMatching(/"level":"error".*the bug.*a bug: the daemon ends/),
    ])
  },
)

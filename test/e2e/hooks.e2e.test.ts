import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'

const home = '/run/cri-ts-e2e/hooks'
const daemon = useDaemon({ config: `[runtime]\nhooks_dirs = ["${home}"]` })
beforeAll(() => {
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'hook'), '#!/bin/sh\ncat > "$1"\n', { mode: 0o755 })
})
afterAll(() => rmSync(home, { recursive: true }))

const write = (name: string, over: object = {}): void => {
  const state = join(home, `${name}-state`)
  const file = {
    version: '1.0.0',
    hook: { path: join(home, 'hook'), args: ['hook', state], timeout: 10 },
    when: { annotations: { '^example.com/wanted$': '^yes$' } },
    stages: ['createRuntime'],
  }
  writeFileSync(join(home, `${name}.json`), JSON.stringify({ ...file, ...over }))
}

testOnEach(
  '%s: a hook runs for the containers that it is for, and for those made after it came',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, { annotations: { 'example.com/wanted': 'yes' } })
    await using other = await runPod(daemon(), handler)
    await pod.create()
    const name = `late-${handler}`
    write(name)
    const state = join(home, `${name}-state`)
    expect(existsSync(state)).toBe(false)
    await other.create()
    expect(existsSync(state)).toBe(false)
    const container = await pod.create()
    expect(JSON.parse(readFileSync(state, 'utf8')).id).toBe(container.id)
    rmSync(join(home, `${name}.json`))
  },
)

testOnEach(
  '%s: while a hook file is wrong no container is created, and it is told which and why',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    write('bad', { stages: ['sometime'] })
    await expect(pod.create()).rejects.toThrow(`${join(home, 'bad.json')}: stages[0]`)
    rmSync(join(home, 'bad.json'))
    await (await pod.run()).exec('true')
  },
)

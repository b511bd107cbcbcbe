import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeError } from '#lib/errors.ts'
import { findProgram } from '#linux/find-program.ts'
import { useDaemon } from './host.ts'
import { runPod } from './pod.ts'

/** Pods in gVisor: runsc makes a sandbox of its own, and the pod's containers live in it. */
const runsc = findProgram('runsc') ?? ''
/** The oldest platform, which needs nothing of the host; the network stack is that of the pod's namespace. */
const FLAGS = ['--platform=ptrace', '--network=host']

function reasonToSkip(): string {
  if (runsc === '') return 'runsc is not installed: hack/deps --tests'
  try {
    const options = { stdio: 'pipe', timeout: 60_000 } as const
    execFileSync(runsc, [...FLAGS, '--ignore-cgroups', 'do', '/bin/true'], options)
    return ''
  } catch (error) {
    return `${runsc} can't run anything here: ${describeError(error)}`
  }
}

const reason = reasonToSkip()
if (reason !== '') console.log(`no pod in gVisor is tried: ${reason}`)

describe.skipIf(reason !== '')('in gVisor', () => {
  let directory: string
  afterAll(() => rmSync(directory, { recursive: true }))
  const daemon = useDaemon(() => {
    directory = mkdtempSync('/var/lib/cri-ts-test-') // Not while tests are collected: they may be skipped.
    const wrapper = join(directory, 'gvisor')
    writeFileSync(wrapper, `#!/bin/sh\nexec ${runsc} ${FLAGS.join(' ')} "$@"\n`)
    chmodSync(wrapper, 0o755)
    return { config: `[runtime.handlers.gvisor]\npath = "${wrapper}"` }
  })

  /** The first one leaves what stays: the runtime's directory. */
  beforeAll(async () => {
    await using _pod = await runPod(daemon(), 'gvisor')
  })

  test('containers of a pod run on its kernel, log, are executed in, and end with their exit codes', async () => {
    await using pod = await runPod(daemon(), 'gvisor')
    const short = await pod.run({ command: ['sh', '-c', 'dmesg; echo from a container; exit 7'] })
    expect(await short.exited()).toMatchObject({ exit_code: 7 })
    const log = readFileSync(join(pod.logDirectory, 'container.log'), 'utf8')
    expect(log).toContain('Starting gVisor')
    expect(log).toContain('from a container')
    const long = await pod.run()
    expect(await long.exec('sh', '-c', 'echo $HOSTNAME; dmesg | head -n 1')).toMatch(
      new RegExp(`^${pod.config['hostname']}\n.*Starting gVisor`),
    )
    await daemon().rpc('StopContainer', { container_id: long.id, timeout: 5 })
    expect(await long.status()).toMatchObject({ state: 'CONTAINER_EXITED', exit_code: 143 })
  })

  test('a container that was never started is removed, and a pod with running ones is stopped', async () => {
    await using pod = await runPod(daemon(), 'gvisor')
    const created = await pod.create()
    await daemon().rpc('RemoveContainer', { container_id: created.id })
    await pod.run()
    await pod.run({ command: ['sh', '-c', 'trap "" TERM; sleep 1000'] })
  })

  test('a restarted daemon follows them', async () => {
    await using pod = await runPod(daemon(), 'gvisor')
    const container = await pod.run({ command: ['sh', '-c', 'sleep 3; exit 9'] })
    await daemon().kill9()
    await daemon().start()
    expect(await container.exited()).toMatchObject({ exit_code: 9 })
    expect(await pod.status()).toMatchObject({ state: 'SANDBOX_READY' })
  })
})

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useDaemon } from './host.ts'
import { runPod } from './pod.ts'

/** A handler of the configuration file, with a network, a base spec and annotations of its own. */
const directory = mkdtempSync('/var/lib/cri-ts-test-')
afterAll(() => rmSync(directory, { recursive: true }))

const network = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'special',
  plugins: [
    {
      type: 'ptp',
      ipam: {
        type: 'host-local',
        dataDir: join(directory, 'leases'),
        ranges: [[{ subnet: '10.211.78.0/24' }]],
      },
    },
  ],
})

const daemon = useDaemon(() => {
  mkdirSync(join(directory, 'net.d'))
  mkdirSync(join(directory, 'leases/special'), { recursive: true })
  writeFileSync(join(directory, 'net.d/1.conflist'), network)
  const base = { process: { env: ['FROM_BASE=yes'], rlimits: [{ type: 'RLIMIT_CORE', soft: 5, hard: 5 }] } }
  writeFileSync(join(directory, 'base.json'), JSON.stringify(base))
  return {
    config: [
      '[runtime.handlers.special]',
      'path = "runc"',
      `cni_conf_dir = "${directory}/net.d"`,
      `base_spec = "${directory}/base.json"`,
      'monitor_cgroup = "pod"',
      'allowed_annotations = ["example.com/*"]',
    ].join('\n'),
  }
})

/** The first one leaves what stays: the runtime's directory. */
beforeAll(async () => {
  await using _pod = await runPod(daemon(), 'special')
})

test("a configured handler's pods have its network, its base spec and its annotations", async () => {
  await using usual = await runPod(daemon(), 'runc')
  expect((await usual.status())['network'].ip).toMatch(/^10\.211\.77\./)
  await using pod = await runPod(daemon(), 'special')
  expect((await pod.status())['network'].ip).toMatch(/^10\.211\.78\./)
  const container = await pod.run({ annotations: { 'example.com/a': '1', 'example.org/b': '2' } })
  expect(await container.exec('sh', '-c', 'echo $FROM_BASE')).toBe('yes')
  expect(await container.exec('grep', 'core file', '/proc/self/limits')).toMatch(/\s5\s+5\s/)
  const bundle = join(daemon().state, 'containers', container.id, 'bundle/config.json')
  const { annotations } = JSON.parse(readFileSync(bundle, 'utf8')) as { annotations: object }
  expect(annotations).toMatchObject({ 'example.com/a': '1' })
  expect(annotations).not.toHaveProperty(['example.org/b'])
})

test('Status lists it with the features of its runtime', async () => {
  const { runtime_handlers: handlers } = await daemon().rpc('Status')
  const features = (name: string) => handlers.find((each: { name: string }) => each.name === name)?.features
  expect(features('special')).toEqual(features('runc'))
  expect(features('special')).toMatchObject({ recursive_read_only_mounts: true })
})

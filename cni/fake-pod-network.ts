import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttachRequest } from '#runtime/ports.ts'
import { type FakePlugins, fakePlugins } from './fake-plugins.ts'
import { type CniPodNetwork, createPodNetwork, type PodNetworkOptions } from './pod-network.ts'

/** A pod network on fake plugins: bridge, portmap and bandwidth are installed and chained. */
export interface FakePodNetwork extends FakePlugins {
  readonly warnings: readonly string[]
  /** Each call is a daemon of its own on the same directories. */
  network(options?: Partial<PodNetworkOptions>): CniPodNetwork
  cached(): Promise<readonly string[]>
  cacheOf(sandboxId: string): Promise<{ readonly [key: string]: unknown }>
}

export async function fakePodNetwork(): Promise<FakePodNetwork> {
  const fake = await fakePlugins()
  await fake.install('bridge', 'portmap', 'bandwidth')
  await fake.configure(chain())
  const { confDir, cacheDir, binDirs, run } = fake
  const warnings: string[] = []
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_: object, message: string) => void warnings.push(message),
    error: () => undefined,
  }
  const lock = () => ({ fd: 42, [Symbol.dispose]: () => undefined })
  return {
    ...fake,
    warnings,
    network: (options) => createPodNetwork({ confDir, cacheDir, binDirs, run, log, lock, ...options }),
    cached: () => readdir(cacheDir).catch(() => []),
    cacheOf: async (sandboxId) => JSON.parse(await readFile(join(cacheDir, `${sandboxId}.json`), 'utf8')),
  }
}

export const chain = (change: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    { type: 'bridge', bridge: 'cni0' },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'bandwidth' },
  ],
  ...change,
})

export const request = (sandboxId = 'abc'): AttachRequest => ({
  sandboxId,
  netnsPath: `/run/netns/${sandboxId}`,
  pod: { name: 'web', namespace: 'default', uid: 'u', attempt: 0 },
  portMappings: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' }],
  dns: undefined,
  annotations: {},
  cgroupParent: '',
})

import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, type Finished, runCommand } from '#linux/command.ts'
import { findProgram } from '#linux/find-program.ts'
import { createObjectLocks } from '#linux/object-lock.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { type CniPodNetwork, createPodNetwork, type PodNetworkOptions } from './pod-network.ts'

/**
 * A host for real plugins that is none: they run in a network namespace of their own, so that bridges, iptables
 * and sysctls are gone with it and the machine stays as it was.
 */
export interface HostLab extends AsyncDisposable {
  readonly confDir: string
  readonly cacheDir: string
  readonly leaseDir: string
  readonly network: CniPodNetwork
  podNetwork(options: Partial<PodNetworkOptions>): CniPodNetwork
  configure(list: object): Promise<void>
  /** A plugin that is this shell script. */
  script(type: string, body: string): Promise<void>
  /** A namespace for a pod, and its path; both are gone with the lab. */
  addNetns(): Promise<{ readonly name: string; readonly path: string; remove(): Promise<void> }>
  /** Runs a program in the lab's host, or in a pod's namespace; answers its output, whatever its exit code. */
  run(argv: readonly [string, ...string[]], netns?: string): Promise<string>
  leases(): Promise<readonly string[]>
}

const LIMIT_MS = 15_000

export async function hostLab(): Promise<HostLab> {
  const stack = new AsyncDisposableStack()
  const watcher = stack.use(new ProcessWatcher())
  const directory = await mkdtemp('/run/cri-ts-cni-')
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const [confDir, binDir, leaseDir] = ['net.d', 'bin', 'leases'].map((name) => join(directory, name))
  if (confDir === undefined || binDir === undefined || leaseDir === undefined) throw new Error('no paths')
  for (const path of [confDir, binDir, leaseDir]) await mkdir(path)

  const ip = (...args: string[]) => runIn(undefined, { argv: [program('ip'), ...args], timeoutMs: LIMIT_MS })
  const runIn = (netns: string | undefined, command: Command): Promise<Finished> => {
    const inside = netns === undefined ? [] : [program('nsenter'), `--net=/run/netns/${netns}`]
    const [first = '', ...rest] = [...inside, ...command.argv]
    return runCommand(watcher, { ...command, argv: [first, ...rest] })
  }
  const addNetns = async () => {
    const name = `cri-ts-test-${randomBytes(4).toString('hex')}`
    await ip('netns', 'add', name)
    const remove = async () => void (await ip('netns', 'del', name))
    stack.defer(remove)
    return { name, path: `/run/netns/${name}`, remove }
  }

  const host = (await addNetns()).name
  await ip('-n', host, 'link', 'set', 'lo', 'up')
  await runIn(host, { argv: [program('sysctl'), '-qw', 'net.ipv4.ip_forward=1'], timeoutMs: LIMIT_MS })
  const locks = createObjectLocks(join(directory, 'locks'))
  const silent = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  }
  const options: PodNetworkOptions = {
    ...{ confDir, cacheDir: join(directory, 'cache'), binDirs: [binDir, '/usr/lib/cni'], log: silent },
    lock: (id) => locks.hold(id),
    run: (command) => runIn(host, command),
    timeoutMs: LIMIT_MS,
  }
  return {
    ...{ confDir, leaseDir, cacheDir: options.cacheDir, addNetns },
    network: createPodNetwork(options),
    podNetwork: (changed) => createPodNetwork({ ...options, ...changed }),
    configure: (list) => writeFile(join(confDir, '10-test.conflist'), JSON.stringify(list)),
    script: async (type, body) => {
      await writeFile(join(binDir, type), `#!/bin/sh\n${body}\n`)
      await chmod(join(binDir, type), 0o755)
    },
    run: async ([name, ...args], netns = host) => {
      const { stdout, stderr } = await runIn(netns, { argv: [program(name), ...args], timeoutMs: LIMIT_MS })
      return `${stdout.toString()}${stderr}`.trim()
    },
    leases: async () => {
      const names = await readdir(leaseDir, { recursive: true })
      return names.filter((name) => /\/\d+\.\d+\.\d+\.\d+$|:/.test(name))
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function program(name: string): string {
  const path = name.startsWith('/') ? name : findProgram(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  return path
}

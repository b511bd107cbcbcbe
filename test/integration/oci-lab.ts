import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, type Finished, runCommand } from '#linux/command.ts'
import { readHostFacts } from '#linux/host-facts.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import type { ContainerSpec } from '#runtime/container/record.ts'
import { buildOciSpec, type OciSpecInput } from '#runtime/oci-spec/build-spec.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { sampleInput, withContainer } from '#runtime/oci-spec/sample-input.ts'

/** crun refuses a v2 hierarchy beside the controllers on v1: it gets a mount namespace without. */
const WITHOUT_HYBRID =
  'mount --make-private /sys/fs/cgroup; umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
const runtimes = {
  runc: ['/usr/bin/env', 'runc'],
  crun: [
    ...['/usr/bin/env', 'unshare', '--mount', '--propagation', 'unchanged'],
    ...['sh', '-c', WITHOUT_HYBRID, 'sh', 'crun'],
  ],
} as const
export type RuntimeName = keyof typeof runtimes

/** Containers made by an OCI runtime itself, with no monitor; each is gone with its scope, and all with the lab's. */
export function ociLab() {
  const host = readHostFacts('cgroupfs')
  const watcher = new ProcessWatcher()
  const directory = mkdtempSync('/var/lib/cri-ts-test-')
  let count = 0

  /** `build` gets the sample request on a root file system and pod files that exist. */
  function container(runtime: RuntimeName, build: (base: OciSpecInput) => OciSpec) {
    count += 1
    const id = `cri-ts-test-${process.pid}-${count}`
    const bundle = join(directory, id)
    const spec = build(layOut(id, bundle, host))
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
    const call = (args: readonly string[], more: Partial<Command> = {}): Promise<Finished> => {
      const [program, ...words] = runtimes[runtime]
      const argv = [program, ...words, '--root', join(directory, runtime), ...args] as const
      return runCommand(watcher, { argv, timeoutMs: 20_000, ...more })
    }
    const succeed = async (...args: readonly string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await call(args)
      if (exitCode !== 0)
        throw new Error(`${runtime} ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`)
      return stdout.toString()
    }
    return {
      id,
      bundle,
      spec,
      call,
      run: () => call(['run', '--bundle', bundle, id]),
      /** Creates and starts it, and answers its init's pid. */
      async start(): Promise<number> {
        await succeed('create', '--bundle', bundle, id)
        await succeed('start', id)
        return JSON.parse(await succeed('state', id)).pid
      },
      async [Symbol.asyncDispose]() {
        await call(['delete', '--force', id])
        rmSync(bundle, { recursive: true, force: true })
      },
    }
  }
  return {
    host,
    directory,
    container,
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

export type Security = Partial<ContainerSpec['security']>

/** The sample request, with parts replaced, on what the lab lays out. */
export const request =
  (container: Partial<ContainerSpec>, security: Security = {}, more: Partial<OciSpecInput> = {}) =>
  (base: OciSpecInput): OciSpec =>
    buildOciSpec({ ...base, container: withContainer(container, security).container, ...more })

export const shell = (script: string): Partial<ContainerSpec> => ({ command: ['/bin/sh', '-c', script] })

function layOut(id: string, bundle: string, host: OciSpecInput['host']): OciSpecInput {
  const rootfsPath = join(bundle, 'rootfs')
  for (const name of ['bin', 'etc', 'tmp']) mkdirSync(join(rootfsPath, name), { recursive: true })
  copyFileSync('/bin/busybox', join(rootfsPath, 'bin/busybox'))
  for (const name of ['sh', 'cat', 'id', 'grep', 'touch', 'sleep', 'stat', 'test', 'cp', 'mknod', 'ls']) {
    symlinkSync('busybox', join(rootfsPath, 'bin', name))
  }
  const podFile = (name: string): string => {
    writeFileSync(join(bundle, name), `${name} of the pod\n`)
    return join(bundle, name)
  }
  mkdirSync(join(bundle, 'shm'))
  return {
    ...sampleInput,
    host,
    rootfsPath,
    namespaces: { network: undefined, ipc: undefined, uts: undefined, pid: 'private' },
    sandboxFiles: {
      resolvConf: podFile('resolv.conf'),
      hosts: podFile('hosts'),
      hostname: podFile('hostname'),
      shm: join(bundle, 'shm'),
    },
    cgroupsPath: `/${id}`,
  }
}

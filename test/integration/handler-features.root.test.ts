import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { mount, unmount } from '#linux/libc.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { findHandlers, handlerFeatures } from '#linux/runtime-handlers.ts'
import type { HandlerFeatures } from '#runtime/handler.ts'
import { buildOciSpec, type OciSpecInput } from '#runtime/oci-spec/build-spec.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { withContainer } from '#runtime/oci-spec/sample-input.ts'
import { ociLab } from './oci-lab.ts'

/** Whether the real OCI runtimes can do what is said of them, by themselves or by us. */
let lab: ReturnType<typeof ociLab>
let features: Map<string, HandlerFeatures>
beforeAll(async () => {
  lab = ociLab()
  chmodSync(lab.directory, 0o755) // A user namespace's root goes through it.
  await using watcher = new ProcessWatcher()
  const found = await findHandlers({ runc: { path: 'runc' }, crun: { path: 'crun' } }, (command) =>
    runCommand(watcher, command),
  )
  features = new Map(found.map((each) => [each.name, handlerFeatures(each)]))
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(['runc', 'crun'] as const)

const MAPPINGS = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
const mappings = { uidMappings: MAPPINGS, gidMappings: MAPPINGS }

/** A container that runs a script, with the mount of a directory at /data, and `linux` over its own. */
const request = (script: string, source: string, options: readonly string[], more: object, linux: object) => {
  return (base: OciSpecInput): OciSpec => {
    const { container } = withContainer({ command: ['/bin/sh', '-c', script] })
    const spec = buildOciSpec({ ...base, container })
    const data = { destination: '/data', type: 'bind', source, options: ['rbind', 'rprivate', ...options] }
    const kept = spec.mounts.filter(({ destination }) => ['/proc', '/dev'].includes(destination))
    // The root of a user namespace can make no mount point in another's directory.
    for (const name of ['proc', 'dev', 'data']) mkdirSync(join(base.rootfsPath, name))
    return { ...spec, mounts: [...kept, { ...data, ...more }], linux: { ...spec.linux, ...linux } }
  }
}

const inUserNamespace = {
  ...mappings,
  namespaces: ['mount', 'pid', 'ipc', 'uts', 'network', 'user'].map((type) => ({ type })),
}

onEach('%s makes mounts read-only with all below them', async (runtime) => {
  expect(features.get(runtime)?.recursiveReadonlyMounts).toBe(true)
  const source = join(lab.directory, `rro-${runtime}`)
  const below = join(source, 'below')
  mkdirSync(below, { recursive: true })
  mount('tmpfs', below, 'tmpfs', 0, '')
  try {
    const touch = async (options: readonly string[]): Promise<string> => {
      const script = 'touch /data/below/x && echo done'
      await using container = lab.container(runtime, request(script, source, options, {}, {}))
      const { stdout, stderr } = await container.run()
      return `${stdout}${stderr}`
    }
    expect(await touch(['ro'])).toBe('done\n')
    expect(await touch(['ro', 'rro'])).toContain('Read-only file system')
  } finally {
    await unmount(below)
  }
})

onEach('%s makes user namespaces', async (runtime) => {
  expect(features.get(runtime)?.userNamespaces).toBe(true)
  const build = request('cat /proc/self/uid_map', lab.directory, ['ro'], {}, inUserNamespace)
  await using container = lab.container(runtime, build)
  const { stdout, stderr } = await container.run()
  expect(`${stdout}${stderr}`.trim().split(/\s+/)).toEqual(['0', '100000', '65536'])
})

/** One that says it can't may ignore the mapping without a word, as runc 1.1.5 does: it is never asked to. */
onEach('%s maps the owners of a mount exactly where it is said to', async (runtime) => {
  const source = join(lab.directory, `idmap-${runtime}`)
  mkdirSync(source)
  writeFileSync(join(source, 'mine'), '')
  const build = request('ls -ln /data/mine', source, ['rw'], mappings, inUserNamespace)
  await using container = lab.container(runtime, build)
  const { stdout } = await container.run()
  const [, , uid, gid] = stdout.toString().split(/\s+/)
  const maps = uid === '0' && gid === '0'
  expect(maps).toBe(features.get(runtime)?.idmapMounts)
})

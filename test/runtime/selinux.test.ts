import { describe, expect, test } from 'vitest'
import type { ContainerMount, ContainerSpec } from '#runtime/container/record.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import type { SandboxSpec } from '#runtime/pod-sandbox/record.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

const nothing = { user: '', role: '', type: '', level: '' }

function selinuxLab(enabled = true): RuntimeLab {
  const lab = runtimeLab()
  lab.host.selinux.enabled = enabled
  return lab
}

const pod = ({ runtime }: RuntimeLab, name: string, over: Partial<SandboxSpec> = {}): Promise<string> =>
  runtime.sandboxes.run(
    sandboxSpec({ metadata: { name, uid: name, namespace: 'default', attempt: 0 }, ...over }),
  )

const levelOf = ({ runtime }: RuntimeLab, sandboxId: string): string | undefined =>
  runtime.sandboxes.get(sandboxId).selinux?.process.split(':').slice(3).join(':')

/** config.json of a container in the pod. */
async function configOf(
  lab: RuntimeLab,
  sandboxId: string,
  security: Partial<ContainerSpec['security']> = {},
  mounts: readonly ContainerMount[] = [],
): Promise<OciSpec> {
  const base = containerSpec({ sandboxId, mounts, name: `c${lab.host.containers.size}` })
  const spec = { ...base, security: { ...base.security, ...security } }
  const id = await lab.runtime.containers.create(spec)
  return lab.host.containers.get(id)?.ociSpec as OciSpec
}

const volume = (hostPath: string, over: Partial<ContainerMount> = {}): ContainerMount => ({
  ...{ containerPath: '/data', hostPath, readonly: false, propagation: 'private', selinuxRelabel: true },
  ...over,
})

describe('labels', () => {
  test("are the pod's in all its containers, in config.json and in the record", async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a')
    const { process, mount } = lab.runtime.sandboxes.get(id).selinux ?? {}
    expect(process).toMatch(/^system_u:system_r:container_t:s0:c\d+,c\d+$/)
    for (const config of [await configOf(lab, id), await configOf(lab, id)]) {
      expect(config.process.selinuxLabel).toBe(process)
      expect(config.linux.mountLabel).toBe(mount)
    }
  })

  test('are on the init of a shared PID namespace', async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a', { namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } })
    const config = lab.host.containers.get(id)?.ociSpec as OciSpec
    const { process, mount } = lab.runtime.sandboxes.get(id).selinux ?? {}
    expect(config.process.selinuxLabel).toBe(process)
    expect(config.linux.mountLabel).toBe(mount)
  })

  test('of pods made at once and one after another are different, also after a restart', async () => {
    const lab = selinuxLab()
    await Promise.all(Array.from({ length: 30 }, (_, index) => pod(lab, `a${index}`)))
    const again = lab.restart()
    await again.runtime.recover()
    await Promise.all(Array.from({ length: 30 }, (_, index) => pod(again, `b${index}`)))
    const levels = again.runtime.sandboxes.list().map(({ id }) => levelOf(again, id))
    expect(new Set(levels).size).toBe(60)
  })

  test('a container has its own type, at the level of its pod', async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a')
    const { process, linux } = await configOf(lab, id, { selinux: { ...nothing, type: 'web_t' } })
    expect(process.selinuxLabel).toBe(`system_u:system_r:web_t:${levelOf(lab, id)}`)
    expect(linux.mountLabel).toBe(lab.runtime.sandboxes.get(id).selinux?.mount)
  })

  test('a privileged container is not confined', async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a', { privileged: true })
    const { process, linux } = await configOf(lab, id, { privileged: true })
    expect(process).not.toHaveProperty('selinuxLabel')
    expect(linux.mountLabel).toContain('container_file_t')
    expect((await configOf(lab, id)).process.selinuxLabel).toContain('container_t')
  })
})

describe('what is asked for', () => {
  test('that the policy does not know is refused by name', async () => {
    const lab = selinuxLab()
    lab.host.selinux.invalid.add('system_u:system_r:web_t:s0:c1,c2')
    const selinux = { ...nothing, type: 'web_t', level: 's0:c1,c2' }
    const refusal = { kind: 'invalid-argument', message: expect.stringContaining('web_t:s0:c1,c2') }
    await expect(pod(lab, 'a', { selinux })).rejects.toMatchObject(refusal)
    expect(lab.host.left()).toEqual([])
    const id = await pod(lab, 'b')
    await expect(configOf(lab, id, { selinux })).rejects.toMatchObject(refusal)
  })

  test('is passed over where SELinux is off', async () => {
    const lab = selinuxLab(false)
    const selinux = { ...nothing, type: 'web_t' }
    const id = await pod(lab, 'a', { selinux })
    const { process, linux } = await configOf(lab, id, { selinux }, [volume('/etc')])
    expect(process).not.toHaveProperty('selinuxLabel')
    expect(linux).not.toHaveProperty('mountLabel')
    expect(lab.runtime.sandboxes.get(id)).not.toHaveProperty('selinux')
    expect(lab.host.fileLabels.size).toBe(0)
  })

  test('is refused in pods of a time without SELinux, whose containers have no labels', async () => {
    const lab = selinuxLab(false)
    const id = await pod(lab, 'a')
    lab.host.selinux.enabled = true
    expect((await configOf(lab, id)).process).not.toHaveProperty('selinuxLabel')
    await expect(configOf(lab, id, { selinux: { ...nothing, type: 'web_t' } })).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringContaining('was made without SELinux'),
    })
  })
})

describe('volumes', () => {
  test('are labelled for the container where they ask for it, as are the VOLUMEs of its image', async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a')
    const { linux } = await configOf(lab, id, {}, [
      volume('/srv/a'),
      volume('/srv/b', { selinuxRelabel: false, containerPath: '/other' }),
    ])
    const labelled = [...lab.host.fileLabels.keys()].toSorted()
    expect(labelled).toEqual(['/srv/a', expect.stringMatching('/volumes/.*/0'), expect.any(String)])
    for (const label of lab.host.fileLabels.values()) expect(label).toBe(linux.mountLabel)
  })

  test('that have the label are not labelled again', async () => {
    const lab = selinuxLab()
    const id = await pod(lab, 'a')
    const noVolumes = { containerPath: '/var/lib/data', selinuxRelabel: false }
    const mounts = [
      volume('/srv/a'),
      volume('/srv/b', noVolumes),
      volume('/srv/c', { ...noVolumes, containerPath: '/srv' }),
    ]
    const relabels = () => lab.effects.journal.filter((effect) => effect === 'selinux.relabel').length
    await configOf(lab, id, {}, mounts)
    expect(relabels()).toBe(1)
    await configOf(lab, id, {}, mounts)
    expect(relabels()).toBe(1)
    const other = await pod(lab, 'b')
    await configOf(lab, other, {}, mounts)
    expect(relabels()).toBe(2)
  })

  test.for(['/', '/etc', '/var/lib/', '/proc/1', '/dev/shm'])(
    'that the host needs are refused: %s',
    async (path) => {
      const lab = selinuxLab()
      const id = await pod(lab, 'a')
      await expect(configOf(lab, id, {}, [volume(path)])).rejects.toMatchObject({
        kind: 'invalid-argument',
        message: expect.stringMatching(`mount of ${path} at /data: selinux_relabel`),
      })
      expect(lab.host.fileLabels.size).toBe(0)
    },
  )

  test.for(['stop', 'remove'] as const)(
    'whose labelling takes long do not keep a pod from its %s',
    async (act) => {
      const lab = selinuxLab()
      const id = await pod(lab, 'a')
      const creation = configOf(lab, id, {}, [volume('/srv/endless')])
      const failed = expect(creation).rejects.toMatchObject({ kind: 'cancelled' })
      await lab.host.until(() => lab.effects.journal.includes('selinux.relabel'))
      await lab.runtime.sandboxes[act](id)
      await failed
      expect(lab.host.left().filter((line) => /rootfs|creating|namespace/.test(line))).toEqual([])
    },
  )
})

import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'
import { testOnEach, useDaemon } from './host.ts'
import { CONTAINER, type Fields, NODE, POD, runPod } from './pod.ts'

const daemon = useDaemon()

const mapping = { container_id: 0, host_id: 1_000_000, length: 65_536 }
const userns = { mode: POD, uids: [mapping], gids: [mapping] }
/** A security context as kubelet sends it for hostUsers: false, of sandbox and containers alike. */
const inUserNamespace = (namespaces: Fields = {}, more: Fields = {}): Fields => ({
  security_context: {
    namespace_options: { pid: CONTAINER, userns_options: userns, ...namespaces },
    ...more,
  },
})
const linux = inUserNamespace()

/** Of a container's first process, on the host. */
const pidOf = (id: string): number =>
  Number(readFileSync(join(daemon().state, 'containers', id, 'pid'), 'utf8'))

testOnEach('%s: root of a pod owns its files, and is nobody on the host', async (handler) => {
  await using pod = await runPod(daemon(), handler, { linux })
  const container = await pod.run({ linux })
  expect(await container.exec('id', '-u')).toBe('0')
  expect(await container.exec('cat', '/proc/self/uid_map')).toMatch(/^\s*0\s+1000000\s+65536$/)
  const owned = ['/', '/bin/busybox', '/etc/hosts', '/etc/resolv.conf', '/etc/hostname', '/dev/shm']
  expect((await container.exec('stat', '-c', '%u:%g', ...owned)).split('\n')).toEqual(owned.map(() => '0:0'))
  await container.exec(
    'sh',
    '-c',
    'echo > /new; chown 1:2 /new; cp /bin/busybox /dev/shm; echo >> /etc/hosts',
  )
  expect(statSync(`/proc/${pidOf(container.id)}/root/new`)).toMatchObject({ uid: 1_000_001, gid: 1_000_002 })
  expect(readFileSync(`/proc/${pidOf(container.id)}/status`, 'utf8')).toMatch(/^Uid:\t1000000\t/m)
  expect((await pod.status())['linux'].namespaces.options.userns_options).toMatchObject({
    ...{ mode: 'POD', uids: [mapping], gids: [mapping] },
  })
})

testOnEach('%s: a volume is written with the ids of the container, and read with them', async (handler) => {
  const volume = join(daemon().directory, `volume-${handler}`)
  mkdirSync(volume)
  writeFileSync(join(volume, 'mine'), 'of 7')
  chownSync(join(volume, 'mine'), 7, 8)
  await using pod = await runPod(daemon(), handler, { linux })
  const mount = { container_path: '/data', host_path: volume, uidMappings: [mapping], gidMappings: [mapping] }
  const container = await pod.run({ linux, mounts: [mount] })
  expect(await container.exec('stat', '-c', '%u:%g', '/data/mine')).toBe('7:8')
  await container.exec('sh', '-c', 'echo > /data/new; echo > /data/given; chown 5:6 /data/given')
  expect(statSync(join(volume, 'new'))).toMatchObject({ uid: 0, gid: 0 })
  expect(statSync(join(volume, 'given'))).toMatchObject({ uid: 5, gid: 6 })
  expect((await container.status())['mounts']).toMatchObject([
    { uidMappings: [mapping], gidMappings: [mapping] },
  ])
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(join(daemon().state, 'mapped'))
})

testOnEach('%s: ids can be mapped for a mount of a pod without a user namespace', async (handler) => {
  const volume = join(daemon().directory, `plain-${handler}`)
  mkdirSync(volume)
  await using pod = await runPod(daemon(), handler)
  const mount = { container_path: '/data', host_path: volume, uidMappings: [mapping], gidMappings: [mapping] }
  const container = await pod.run({ mounts: [mount] })
  expect(await container.exec('stat', '-c', '%u:%g', '/data')).toBe('1000000:1000000')
})

testOnEach('%s: an image as a volume, and VOLUMEs with what the image has there', async (handler) => {
  const name = 'localhost/e2e/owned:latest'
  const owned = { uid: 1000, gid: 2000 }
  const image = busyboxImage({
    config: { Cmd: ['sh'], Env: ['PATH=/bin'], Volumes: { '/data': {}, '/fresh': {} } },
    files: [
      { name: 'data/', type: 'directory', mode: 0o750, ...owned },
      { name: 'data/file', content: 'of the image', ...owned },
    ],
  })
  const archive = join(daemon().directory, 'owned.tar')
  writeFileSync(archive, dockerArchive(image, ['owned:latest']))
  await daemon().criTs('images', 'import', '--name', name, archive)
  {
    await using pod = await runPod(daemon(), handler, { linux })
    const ids = { uidMappings: [mapping], gidMappings: [mapping] } // As kubelet sends them with every mount.
    const mounts = [{ container_path: '/image', readonly: true, image: { image: name }, ...ids }]
    const container = await pod.run({ linux, image: { image: name }, mounts })
    const paths = ['/image/bin/busybox', '/image/data/file', '/data', '/data/file', '/fresh']
    expect(await container.exec('stat', '-c', '%a %u:%g', ...paths)).toBe(
      '755 0:0\n644 1000:2000\n750 1000:2000\n644 1000:2000\n755 0:0',
    )
    await container.exec('sh', '-c', 'echo > /data/new && echo > /fresh/new')
    const root = `/proc/${pidOf(container.id)}/root`
    expect(statSync(`${root}/data/file`)).toMatchObject({ uid: 1_001_000, gid: 1_002_000 })
    expect(statSync(`${root}/image/data/file`)).toMatchObject({ uid: 1_001_000, gid: 1_002_000 })
  }
  await daemon().rpc('RemoveImage', { image: { image: name } })
})

testOnEach('%s: network and IPC are in the hands of its root', async (handler) => {
  const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '80', 'kernel.shm_rmid_forced': '1' }
  await using pod = await runPod(daemon(), handler, { linux: { ...linux, sysctls } })
  const capabilities = { add_capabilities: ['NET_ADMIN'] }
  const container = await pod.run({ linux: inUserNamespace({}, { capabilities }) })
  const files = ['net/ipv4/ip_unprivileged_port_start', 'kernel/shm_rmid_forced']
  expect(await container.exec('cat', ...files.map((file) => `/proc/sys/${file}`))).toBe('80\n1')
  await container.exec('ip', 'link', 'add', 'dummy', 'type', 'veth')
  const { ip } = (await pod.status())['network']
  expect(await container.exec('ip', '-4', 'addr', 'show', 'eth0')).toContain(ip)
  expect(await container.exec('hostname')).toBe(pod.config['hostname'])
})

testOnEach("%s: on the host's network, too, which it can't change", async (handler) => {
  const onHost = inUserNamespace({ network: NODE }, { capabilities: { add_capabilities: ['NET_ADMIN'] } })
  await using pod = await runPod(daemon(), handler, { hostname: '', linux: onHost })
  const container = await pod.run({ linux: onHost })
  expect(await container.exec('cat', '/proc/self/uid_map')).toMatch(/1000000/)
  expect(await container.exec('readlink', '/proc/self/ns/net')).toBe(readlinkSync('/proc/self/ns/net'))
  await expect(container.exec('ip', 'link', 'set', 'lo', 'mtu', '1400')).rejects.toThrow(/not permitted/)
  expect(await container.exec('cat', '/sys/class/net/lo/flags')).toBe('0x9')
})

testOnEach('%s: containers share its PID namespace, and join that of another', async (handler) => {
  const shared = inUserNamespace({ pid: POD })
  await using pod = await runPod(daemon(), handler, { linux: shared })
  const container = await pod.run({ linux: shared })
  expect(await container.exec('ps')).toMatch(/1 65535 .*\/init -P/)
  const target = await pod.run({ linux })
  const joined = inUserNamespace({ pid: 3, target_id: target.id })
  const guest = await pod.run({ linux: joined })
  expect(await guest.exec('readlink', '/proc/self/ns/pid')).toBe(
    await target.exec('readlink', '/proc/self/ns/pid'),
  )
})

testOnEach('%s: a privileged container is so over its own pod only', async (handler) => {
  const privileged = inUserNamespace({}, { privileged: true })
  await using pod = await runPod(daemon(), handler, { linux: privileged })
  const container = await pod.run({ linux: privileged })
  expect(
    await container.exec(
      'sh',
      '-c',
      'mount -t tmpfs none /mnt 2>/dev/null || mount -t tmpfs none /tmp; echo ok',
    ),
  ).toBe('ok')
  await expect(container.exec('sh', '-c', 'echo 1 > /proc/sys/kernel/panic')).rejects.toThrow(
    /denied|ead-only/,
  )
})

testOnEach('%s: a pod outlives the daemon, and is removed by the next one', async (handler) => {
  await using pod = await runPod(daemon(), handler, { linux })
  const container = await pod.run({ linux })
  await daemon().kill9()
  await daemon().start()
  expect(await container.exec('stat', '-c', '%u', '/bin/busybox')).toBe('0')
  const later = await pod.run({ linux, log_path: 'later.log' })
  expect(await later.exec('id', '-u')).toBe('0')
})

testOnEach('%s: users of the container are those of its namespace', async (handler) => {
  await using pod = await runPod(daemon(), handler, { linux })
  const container = await pod.run({ linux: inUserNamespace({}, { run_as_user: { value: 1000 } }) })
  expect(await container.exec('id', '-u')).toBe('1000')
  expect(readFileSync(`/proc/${pidOf(container.id)}/status`, 'utf8')).toMatch(/^Uid:\t1001000\t/m)
  await expect(
    pod.create({ linux: inUserNamespace({}, { run_as_user: { value: 70_000 } }) }),
  ).rejects.toThrow(/user id 70000 is not mapped in the pod's user namespace/)
})

testOnEach('%s: a container that is not in the namespace of its sandbox is refused', async (handler) => {
  await using pod = await runPod(daemon(), handler, { linux })
  await expect(pod.create()).rejects.toThrow(
    /userns_options is NODE, but its sandbox's is POD with uids 0:1000000:65536/,
  )
})

test('Status tells that handlers and host can', async () => {
  const { runtime_handlers, features } = await daemon().rpc('Status', {})
  for (const { name, features: can } of runtime_handlers) expect(can.user_namespaces, name).toBe(true)
  expect(features.user_namespaces_host_network).toBe(true)
  expect(existsSync(join(daemon().state, 'userns'))).toBe(true)
})

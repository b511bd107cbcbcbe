import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { NODE, runPod } from './pod.ts'

const daemon = useDaemon({
  config: `[runtime]
default_env = ["NODE_SAYS=hello", "PATH=/nowhere"]
default_sysctls = ["net.core.somaxconn=321", "kernel.shmmni=123"]
default_ulimits = ["core=unlimited", "nproc=1000:2000"]
default_capabilities = ["KILL"]
additional_devices = ["/dev/fuse:/dev/node-fuse:r"]
allowed_devices = ["/dev/full"]
device_ownership_from_security_context = true`,
})

testOnEach('%s: a container has what the node gives to all, in an exec too', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    annotations: { 'io.kubernetes.cri-o.Devices': '/dev/full:/dev/more:rw' },
  })
  const container = await pod.run({
    linux: { security_context: { run_as_user: { value: 1000 }, run_as_group: { value: 2000 } } },
  })
  const script = `echo $NODE_SAYS; ulimit -c; ulimit -Su; ulimit -Hu; cat /proc/sys/kernel/shmmni
    grep CapBnd /proc/self/status; stat -c '%n %t:%T %u:%g' /dev/node-fuse /dev/more`
  expect((await container.exec('sh', '-c', script)).split('\n')).toEqual([
    'hello',
    'unlimited',
    '1000',
    '2000',
    '123',
    'CapBnd:\t0000000000000020',
    '/dev/node-fuse a:e5 1000:2000',
    '/dev/more 1:7 1000:2000',
  ])
})

testOnEach(
  "%s: ports below 1024 need no capability in a network of the pod's own, nor do pings",
  async (handler) => {
    await using pod = await runPod(daemon(), handler, { linux: { sysctls: { 'net.core.somaxconn': '99' } } })
    const container = await pod.run({ linux: { security_context: { run_as_user: { value: 1000 } } } })
    const files = ['ipv4/ip_unprivileged_port_start', 'ipv4/ping_group_range', 'core/somaxconn']
    const values = await container.exec('cat', ...files.map((file) => `/proc/sys/net/${file}`))
    expect(values.split(/\s+/)).toEqual(['0', '0', '2147483647', '99'])
    // It goes into the background once it is bound.
    expect(await container.exec('sh', '-c', 'httpd -p 80 -h /etc && echo bound')).toBe('bound')
  },
)

testOnEach("%s: on the host's network nothing of it is set", async (handler) => {
  const namespaces = { network: NODE }
  const linux = { security_context: { namespace_options: namespaces } }
  await using pod = await runPod(daemon(), handler, { hostname: '', linux })
  const container = await pod.run({ linux })
  expect(await container.exec('cat', '/proc/sys/net/core/somaxconn')).not.toBe('321')
})

testOnEach('%s: a device that the node does not allow is refused by name', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    annotations: { 'io.kubernetes.cri-o.Devices': '/dev/mem' },
  })
  await expect(pod.create()).rejects.toThrow(/asks for \/dev\/mem, which this node does not allow/)
})

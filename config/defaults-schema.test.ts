import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sampleDefaults } from '#runtime/sample-defaults.ts'
import { loadConfig } from './config.ts'

function load(lines: string) {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-defaults-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'config.toml')
  writeFileSync(file, `[runtime]\n${lines}\n`)
  return loadConfig({ config: file }).config.runtime.defaults
}

test('what containers have unless they say otherwise', () => {
  expect(load('')).toEqual(sampleDefaults)
  expect(
    load(`default_env = ["A=b=c", "EMPTY="]
default_sysctls = ["net.core.somaxconn=1024", "kernel.shmmax = 1"]
enable_unprivileged_ports = false
enable_unprivileged_icmp = false
default_ulimits = ["nofile=1024:2048", "memlock=unlimited", "core=0:-1"]
default_capabilities = ["chown", "CAP_KILL"]
additional_devices = ["/dev/fuse", "/dev/a:/dev/b:r"]
allowed_devices = ["/dev/net/tun"]
device_ownership_from_security_context = true`),
  ).toEqual({
    env: ['A=b=c', 'EMPTY='],
    sysctls: { 'net.core.somaxconn': '1024', 'kernel.shmmax': '1' },
    unprivilegedPorts: false,
    unprivilegedIcmp: false,
    limits: [
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 2048 },
      { type: 'RLIMIT_MEMLOCK', soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY },
      { type: 'RLIMIT_CORE', soft: 0, hard: Number.POSITIVE_INFINITY },
    ],
    capabilities: ['CAP_CHOWN', 'CAP_KILL'],
    devices: [
      { hostPath: '/dev/fuse', containerPath: '/dev/fuse', permissions: 'rwm' },
      { hostPath: '/dev/a', containerPath: '/dev/b', permissions: 'r' },
    ],
    allowedDevices: ['/dev/net/tun'],
    devicesOfUser: true,
  })
})

test.for([
  ['default_env = ["=x"]', 'runtime.default_env[0] is "=x": it must be an array of strings "NAME=value"'],
  ['default_sysctls = ["vm.swappiness=1"]', 'runtime.default_sysctls[0] is "vm.swappiness=1"'],
  ['default_sysctls = ["net.core.somaxconn"]', 'runtime.default_sysctls[0]'],
  ['default_sysctls = ["net/../vm/swappiness=1"]', 'runtime.default_sysctls[0]'],
  ['default_ulimits = ["nofiles=1"]', 'runtime.default_ulimits[0] is "nofiles=1"'],
  ['default_ulimits = ["nofile=2:1"]', 'runtime.default_ulimits[0]'],
  ['default_ulimits = ["nofile=many"]', 'runtime.default_ulimits[0]'],
  ['default_ulimits = ["nofile=1:2:3"]', 'runtime.default_ulimits[0]'],
  ['default_capabilities = ["ALL"]', 'runtime.default_capabilities[0] is "ALL"'],
  ['additional_devices = ["fuse"]', 'runtime.additional_devices[0] is "fuse"'],
  ['allowed_devices = ["fuse"]', 'runtime.allowed_devices[0] is "fuse"'],
  ['enable_unprivileged_ports = 1', 'runtime.enable_unprivileged_ports is 1: it must be true or false'],
] as const)('%s is refused', ([lines, message]) => {
  expect(() => load(lines)).toThrow(message)
})

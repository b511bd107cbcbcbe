import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sampleHandler } from '#runtime/sample-handler.ts'
import { loadConfig } from './config.ts'

/** What a table [runtime.handlers.crun] with these lines means; `base.json` is beside it. */
function crun(lines: string, baseSpec = '{}') {
  const directory = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'base.json'), baseSpec)
  const config = join(directory, 'config.toml')
  writeFileSync(config, `[runtime.handlers.crun]\n${lines.replaceAll('DIRECTORY', directory)}\n`)
  return loadConfig({ config }).config.runtime.handlers['crun']
}

test('every key of a handler is taken over', () => {
  const lines = `
    path = "/opt/crun"
    root = "/run/opt/crun"
    monitor_cgroup = "/system.slice/monitors"
    create_timeout = "1m30s"
    cni_conf_dir = "/etc/cni/special"
    base_spec = "DIRECTORY/base.json"
    seccomp_profile = "/etc/cri-ts/seccomp.json"
    privileged_without_host_devices = true
    privileged_without_host_devices_all_devices_allowed = true
    allowed_annotations = ["io.example.*"]`
  expect(crun(lines, '{"process":{"env":["A=1"]},"vm":{"kernel":{"path":"/k"}}}')).toEqual(
    sampleHandler('crun', {
      path: '/opt/crun',
      root: '/run/opt/crun',
      monitorCgroup: '/system.slice/monitors',
      createTimeoutMs: 90_000,
      cniConfDir: '/etc/cni/special',
      baseSpec: { process: { env: ['A=1'] }, vm: { kernel: { path: '/k' } } },
      seccompProfile: '/etc/cri-ts/seccomp.json',
      privilegedWithoutHostDevices: true,
      privilegedWithoutHostDevicesAllDevicesAllowed: true,
      allowedAnnotations: ['io.example.*'],
    }).settings,
  )
})

test('a base spec keeps numbers that no double holds', () => {
  const text =
    '{"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]}}'
  expect(JSON.stringify(crun('base_spec = "DIRECTORY/base.json"', text)?.baseSpec)).toBe(text)
})

test.for([
  ['create_timeout = "0"', 'create_timeout is "0": it must be a duration'],
  ['create_timeout = "soon"', 'create_timeout is "soon": it must be a duration'],
  ['monitor_cgroup = "monitors"', 'monitor_cgroup is "monitors": it must be "pod", or the absolute path'],
  ['monitor_cgroup = "/"', 'monitor_cgroup is "/": it must be "pod", or the absolute path'],
  ['monitor_cgroup = "/a/../b"', 'monitor_cgroup is "/a/../b": it must be "pod", or the absolute path'],
  ['root = "oci"', 'root is "oci": it must be an absolute path'],
  ['allowed_annotations = [""]', 'allowed_annotations[0] is "": it must be an array of annotation names'],
  [
    'privileged_without_host_devices_all_devices_allowed = true',
    'config.toml:2: runtime.handlers.crun.privileged_without_host_devices_all_devices_allowed is set without',
  ],
  [
    'base_spec = "/no/such"',
    'config.toml:2: runtime.handlers.crun.base_spec is /no/such: it must be a config',
  ],
] as const)('refused: %s', ([line, message]) => {
  expect(() => crun(line)).toThrow(message)
})

test.for([
  ['[]', 'the whole: '],
  ['{', 'JSON'],
  ['{"mounts": [{}]}', 'mounts.0.destination: '],
  ['{"process": {"env": [1]}}', 'process.env.0: '],
  ['{"linux": {"resources": {"devices": [{"major": 1}]}}}', 'linux.resources.devices.0.allow: '],
] as const)('a base spec that is none: %s', ([text, problem]) => {
  expect(() => crun('base_spec = "DIRECTORY/base.json"', text)).toThrow(problem)
})

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sampleDefaults } from '#runtime/sample-defaults.ts'
import { sampleHandler } from '#runtime/sample-handler.ts'
import { type Config, type ConfigFlags, loadConfig } from './config.ts'
import { imageSettings, imageTable } from './image-schema.ts'

/** A directory with these files in it, for one test. */
function directoryWith(files: { readonly [name: string]: string | Buffer }): string {
  const directory = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), content)
  }
  return directory
}

function load(files: { readonly [name: string]: string | Buffer }, flags: ConfigFlags = {}): Config {
  return loadConfig({ config: join(directoryWith(files), 'config.toml'), ...flags }).config
}

function refusal(files: { readonly [name: string]: string | Buffer }, flags: ConfigFlags = {}): string {
  const directory = directoryWith(files)
  try {
    loadConfig({ config: join(directory, 'config.toml'), ...flags })
  } catch (error) {
    return String(error).replaceAll(`${directory}/`, '')
  }
  return 'nothing was refused'
}

const defaults: Config = {
  root: '/var/lib/cri-ts',
  state: '/run/cri-ts',
  listen: '/run/cri-ts/cri-ts.sock',
  logLevel: 'info',
  logFormat: 'json',
  cni: { confDir: '/etc/cni/net.d', binDirs: ['/opt/cni/bin', '/usr/lib/cni'], gc: [] },
  runtime: {
    defaultHandler: 'auto',
    monitor: 'conmon',
    cgroupDriver: 'auto',
    hooksDirs: [],
    defaults: sampleDefaults,
    cdiSpecDirs: ['/etc/cdi', '/var/run/cdi'],
    blockioConfig: undefined,
    mounts: { shmSizeBytes: 64 << 20, imageVolumes: 'copy', absentSourcesToReject: [], defaults: [] },
    confinement: {
      unsetSeccomp: { type: 'Unconfined' },
      restoresImages: false,
      privilegedSeccomp: { type: 'Unconfined' },
      apparmorProfile: undefined,
    },
    disableApparmor: false,
    enableSelinux: true,
    handlers: { crun: sampleHandler('crun').settings, runc: sampleHandler('runc').settings },
  },
  image: imageSettings(imageTable.parse({})),
  metrics: { address: undefined },
  streaming: { address: '127.0.0.1', port: 0, tls: undefined, idleTimeoutMs: 14_400_000 },
}

describe('what is configured', () => {
  test('no file is the defaults', () => {
    expect(loadConfig({}, join(directoryWith({}), 'config.toml')).config).toEqual(defaults)
  })

  test('an empty file is the defaults', () => {
    expect(load({ 'config.toml': '' })).toEqual(defaults)
  })

  test('drop-ins go over the file in lexical order: tables are merged, arrays replaced', () => {
    const config = load({
      'config.toml': 'root = "/a"\nlog_level = "warn"\n[cni]\nconf_dir = "/c"\nbin_dirs = ["/one", "/two"]\n',
      'config.d/20-b.toml': 'log_level = "error"\n[cni]\nbin_dirs = ["/three"]\n',
      'config.d/10-a.toml': 'log_level = "debug"\n[streaming]\nport = 10\n',
      'config.d/.hidden.toml': 'not toml',
      'config.d/README': 'not toml',
    })
    expect(config).toEqual({
      ...defaults,
      root: '/a',
      logLevel: 'error',
      cni: { confDir: '/c', binDirs: ['/three'], gc: [] },
      streaming: { ...defaults.streaming, port: 10 },
    })
  })

  test('drop-ins count also where there is no file', () => {
    const directory = directoryWith({ 'config.d/a.toml': 'root = "/a"' })
    expect(loadConfig({}, join(directory, 'config.toml')).config.root).toBe('/a')
  })

  test('a handler is told in several files, and named handlers join crun and runc', () => {
    const config = load({
      'config.toml': '[runtime.handlers.kata]\ntype = "oci"\n[runtime.handlers.crun]\npath = "/opt/crun"\n',
      'config.d/a.toml': 'runtime.handlers.kata.path = "/opt/kata"\nruntime.default_handler = "kata"\n',
    })
    expect(config.runtime.handlers).toEqual({
      crun: sampleHandler('crun', { path: '/opt/crun' }).settings,
      runc: sampleHandler('runc').settings,
      kata: sampleHandler('kata', { path: '/opt/kata' }).settings,
    })
  })

  test('flags go over everything', () => {
    const files = { 'config.toml': 'root = "/a"\nstate = "/b"\nlisten = "/c"\n' }
    const flags = { root: '/x', state: '/y', listen: 'unix:///z', logLevel: 'trace' }
    expect(load(files, flags)).toMatchObject({ root: '/x', state: '/y', listen: '/z', logLevel: 'trace' })
  })

  test('a relative path in a flag is one of the working directory', () => {
    expect(load({ 'config.toml': '' }, { root: 'here', listen: './s.sock' })).toMatchObject({
      root: join(process.cwd(), 'here'),
      listen: join(process.cwd(), 's.sock'),
    })
  })

  test('a unix:// URL and a path that is not normal become a normal path', () => {
    const config = load({ 'config.toml': 'listen = "unix:///run//a/../b.sock"\nroot = "/r/"\n' })
    expect(config).toMatchObject({ listen: '/run/b.sock', root: '/r' })
  })

  test('each value is known by where it was last set', () => {
    const directory = directoryWith({
      'config.toml': '\nroot = "/a"\n[cni]\nconf_dir = "/c"\n',
      'config.d/a.toml': '[cni]\n\ngc = ["net"]\n',
    })
    const { origin } = loadConfig({ config: join(directory, 'config.toml'), state: '/s' })
    expect([['root'], ['cni', 'conf_dir'], ['cni', 'gc'], ['state'], ['listen']].map(origin)).toEqual([
      `${directory}/config.toml:2`,
      `${directory}/config.toml:4`,
      `${directory}/config.d/a.toml:3`,
      '--state',
      undefined,
    ])
  })
})

test.for<[text: string, message: string]>([
  ['\nlog_levle = "info"', 'config.toml:2: unknown key log_levle: did you mean log_level?'],
  ['[cni]\nbin_dir = []', 'config.toml:2: unknown key cni.bin_dir: did you mean cni.bin_dirs?'],
  ['[cin]\nx = 1', 'config.toml:1: unknown key cin: did you mean cni?'],
  [
    '[image]\nwhatever_else = 1',
    'config.toml:2: unknown key image.whatever_else: known here: registries_dir',
  ],
  [
    '[runtime.handlers.runc]\npaht = "/x"',
    'config.toml:2: unknown key runtime.handlers.runc.paht: did you mean runtime.handlers.runc.path?',
  ],
  ['__proto__ = 1', 'config.toml:1: unknown key __proto__: known here: root, state'],
  ['[cni.__proto__]\nx = 1', 'config.toml:1: unknown key cni.__proto__'],
  ['log_level = "loud"', 'config.toml:1: log_level is "loud": it must be "trace", "debug", "info",'],
  ['root = "var"', 'config.toml:1: root is "var": it must be an absolute path'],
  ['root = 3', 'config.toml:1: root is 3: it must be an absolute path'],
  ['root = "/a\\u0000b"', 'config.toml:1: root is "/a\\u0000b": it must be an absolute path'],
  ['cni = 3', 'config.toml:1: cni is 3: it must be a table'],
  ['[cni]\nbin_dirs = []', 'config.toml:2: cni.bin_dirs is []: it must be an array of at least one'],
  [
    '[cni]\nbin_dirs = [\n "/a",\n "b"]',
    'config.toml:4: cni.bin_dirs[1] is "b": it must be an array of at least one absolute path',
  ],
  ['[streaming]\nport = 65536', 'config.toml:2: streaming.port is 65536: it must be a TCP port from 0'],
  ['[streaming]\naddress = "localhost"', 'config.toml:2: streaming.address is "localhost": it must be an IP'],
  [`state = "/${'s'.repeat(96)}"`, 'it must be an absolute path of at most 96 bytes'],
  [`listen = "/${'s'.repeat(107)}"`, 'the path at most 107 bytes'],
  [
    'listen = "tcp://1.2.3.4:5"',
    'config.toml:1: listen is "tcp://1.2.3.4:5": it must be an absolute path or a',
  ],
  ['[runtime.handlers."My One"]', 'config.toml:1: runtime.handlers."My One" is no name for one of'],
  ['[runtime.handlers.auto]', 'config.toml:1: runtime.handlers.auto is no name for one of runtime.handlers'],
  ['[runtime]\nhandlers.a = 1', 'config.toml:2: runtime.handlers.a is 1: it must be a table'],
  ['[runtime]\nhandlers.a.type = "shim"', 'runtime.handlers.a.type is "shim": it must be "oci"'],
  ['[runtime]\nmonitor = "bin/conmon"', 'config.toml:2: runtime.monitor is "bin/conmon": it must be an abs'],
  [
    '[runtime]\ndefault_handler = "rnuc"',
    'config.toml:2: runtime.default_handler is "rnuc" (did you mean "runc"?)',
  ],
  ['root = "/x"\nstate = "/x/"', 'config.toml:2: state and root are both /x'],
  [
    'state = "/s"\nlisten = "/s/admin.sock"',
    'config.toml:2: listen is /s/admin.sock, which is the admin socket',
  ],
  ['root = "/a"\n\nstate = ', 'config.toml:3:9: not valid TOML: '],
  ['root = "/a"\nroot = "/b"', 'config.toml:2:1: not valid TOML: trying to redefine'],
])('refused: %s', ([text, message]) => {
  expect(refusal({ 'config.toml': text })).toContain(message)
})

test('a wrong drop-in is the one that is named', () => {
  const files = { 'config.toml': 'root = "/a"', 'config.d/b.toml': '\n\nroot = "b"' }
  expect(refusal(files)).toContain('config.d/b.toml:3: root is "b"')
})

test('a contradiction names the file that says the last word', () => {
  const files = {
    'config.toml': 'runtime.default_handler = "kata"\nruntime.handlers.kata = {}\n',
    'config.d/b.toml': '[runtime]\ndefault_handler = "gvisor"\n',
  }
  expect(refusal(files)).toContain('config.d/b.toml:2: runtime.default_handler is "gvisor"')
})

test('an idle timeout longer than a timer of Node is the longest there is', () => {
  const { streaming } = load({ 'config.toml': '[streaming]\nidle_timeout = "10000h"\n' })
  expect(streaming.idleTimeoutMs).toBe(2 ** 31 - 1)
})

test('a certificate without its key is named, and a key without its certificate', () => {
  expect(refusal({ 'config.toml': '[streaming]\ntls_cert = "/c"\n' })).toContain(
    'config.toml:2: streaming.tls_cert is set without streaming.tls_key: set both or none',
  )
  expect(refusal({ 'config.toml': '[streaming]\ntls_key = "/k"\n' })).toContain(
    'config.toml:2: streaming.tls_key is set without streaming.tls_cert: set both or none',
  )
})

test('all problems are told at once, a line each', () => {
  const message = refusal({ 'config.toml': 'root = 1\nstat = "/s"\n', 'config.d/a.toml': 'log_level = ""' })
  expect(message.split('\n').map((line) => line.split(': ')[0])).toEqual([
    'CriError',
    'config.toml:2',
    'config.d/a.toml:1',
  ])
  expect(message).toContain('config.toml:1: root is 1')
})

test('a wrong flag is named as one', () => {
  expect(refusal({ 'config.toml': '' }, { logLevel: 'loud', root: '' })).toMatch(
    /--root: root is "": .*\n--log-level: log_level is "loud": it must be "trace"/,
  )
})

test('a file that was asked for must be there', () => {
  expect(refusal({})).toMatch(/can't be read from config.toml: check that it is there and readable/)
})

test('a file that is a directory is said to be unreadable', () => {
  expect(refusal({ 'config.toml/x': '' })).toContain("can't be read from config.toml")
})

test('text that is not UTF-8 is said to be so', () => {
  expect(refusal({ 'config.toml': Buffer.from([0x61, 0xff]) })).toContain('config.toml is not UTF-8')
})

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cgroupDriver } from './cgroup-driver.ts'
import { attempt, directoriesBelow } from './host-snapshot.ts'
import { isolation } from './isolation.ts'
import { until } from './until.ts'

/** What kubelet writes of the whole kernel's, when it does not find its own values there. */
const SYSCTLS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
]
/** Those of the whole kernel: net is that of a namespace. */
const SYSCTL_DIRECTORIES = ['kernel', 'vm']
/** Paths that kubelet has built in. */
const DIRECTORIES = ['/var/lib/kubelet', '/var/log']
/** kubelet wants one that is not 127.0.0.1. */
export const NODE_ADDRESS = '10.211.78.1'

/** The cgroup in which kubelet makes all of its own, as it is told; systemd's driver makes a slice of it, in which a dash would be another. */
export const kubeletCgroup = (): string =>
  cgroupDriver === 'systemd' ? `/${isolation().replaceAll('-', '_')}_kubelet` : `/${isolation()}-kubelet`

/** The same cgroup in each hierarchy. */
export const kubeletCgroups = (): readonly string[] =>
  hierarchies().map(
    (hierarchy) => `${hierarchy}${kubeletCgroup()}${cgroupDriver === 'systemd' ? '.slice' : ''}`,
  )

/**
 * Makes a host for kubelet out of this one, in the namespaces of hack/isolated: directories below `directory` in the
 * place of those it has built in, a cgroup in each hierarchy, the node's address. Disposal takes all back.
 */
export function prepareKubeletHost(directory: string): AsyncDisposable {
  const cgroups = kubeletCgroups()
  for (const cgroup of cgroups) makeCgroup(cgroup)
  const made = DIRECTORIES.filter((path) => mkdirSync(path, { recursive: true }) !== undefined)
  for (const path of DIRECTORIES) {
    const ours = join(directory, path)
    mkdirSync(ours, { recursive: true })
    execFileSync('mount', ['--bind', ours, path])
  }
  execFileSync('ip', ['address', 'add', NODE_ADDRESS, 'dev', 'lo'])
  return {
    async [Symbol.asyncDispose]() {
      execFileSync('ip', ['address', 'delete', NODE_ADDRESS, 'dev', 'lo'])
      for (const path of DIRECTORIES) execFileSync('umount', ['--recursive', path])
      for (const path of made) rmdirSync(path)
      for (const cgroup of cgroups) await removeCgroup(cgroup)
    },
  }
}

/**
 * The command line of a kubelet that sees copies of ours in the place of the sysctls it writes: they are mounted in a
 * namespace that it can't be started without, and that ends with it. Its other mounts are seen outside, as on a node.
 */
export function kubeletCommand(directory: string, program: string, args: readonly string[]) {
  const ours = join(directory, 'proc')
  if (!existsSync(ours)) copySettings(ours)
  const copies = [...SYSCTL_DIRECTORIES.map((name) => `sys/${name}`), 'cpuinfo']
  const mounts = copies.map((path) => `mount --bind '${ours}/${path}' /proc/${path}`)
  const script = ['set -e', 'mount --make-private /proc', ...mounts, 'exec "$@"'].join('\n')
  const namespace = ['--mount', '--propagation', 'unchanged']
  return ['unshare', [...namespace, 'sh', '-c', script, 'kubelet', program, ...args]] as const
}

/** kubelet demands settings of keys and a processor's clock, which not every machine of tests has (hack/vm). */
function copySettings(ours: string): void {
  const theirs = SYSCTL_DIRECTORIES.flatMap((name) =>
    readdirSync(join('/proc/sys', name), { recursive: true, withFileTypes: true }),
  )
  const files = theirs.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  for (const path of new Set([...files, ...SYSCTLS.map((name) => join('/proc/sys', name))])) {
    const copy = join(ours, path.slice('/proc/'.length))
    mkdirSync(dirname(copy), { recursive: true })
    writeFileSync(
      copy,
      attempt(() => readFileSync(path, 'utf8'), '0\n'),
    )
  }
  const processors = readFileSync('/proc/cpuinfo', 'utf8')
  const clock = processors.includes('cpu MHz') ? '' : 'cpu MHz\t\t: 1000.000\n'
  writeFileSync(join(ours, 'cpuinfo'), `${processors}${clock}`)
}

/** The values that kubelet is kept from writing: of the machine itself. */
export const kernelSettings = (): readonly string[] => settingsBelow('/proc/sys')

/** What kubelet has made of its own copies. */
export const settingsOfKubelet = (directory: string): readonly string[] =>
  settingsBelow(join(directory, 'proc/sys'))

const settingsBelow = (directory: string): readonly string[] =>
  SYSCTLS.map((name) => `${name} = ${attempt(() => readFileSync(join(directory, name), 'utf8').trim(), '')}`)

const hierarchies = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')

/** A new cgroup of cpuset has no CPU and no memory node in v1 until it is told; in v2 it has its parent's. */
function makeCgroup(cgroup: string): void {
  mkdirSync(cgroup, { recursive: true })
  for (const file of ['cpuset.mems', 'cpuset.cpus']) {
    const [path, parents] = [join(cgroup, file), join(dirname(cgroup), file)]
    const isUnset = existsSync(parents) && readFileSync(path, 'utf8').trim() === ''
    if (isUnset) writeFileSync(path, readFileSync(parents))
  }
}

/** With those inside it, whose last process may still be on its way out. */
async function removeCgroup(cgroup: string): Promise<void> {
  await until(`${cgroup} is empty`, () => {
    try {
      for (const inside of directoriesBelow(cgroup).toReversed()) rmdirSync(inside)
      rmdirSync(cgroup)
      return true
    } catch {
      return !existsSync(cgroup)
    }
  })
}

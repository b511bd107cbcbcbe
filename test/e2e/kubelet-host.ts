import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { directoriesBelow } from './host-snapshot.ts'
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
/** Paths that kubelet has built in. */
const DIRECTORIES = ['/var/lib/kubelet', '/var/log']
/** kubelet wants one that is not 127.0.0.1. */
export const NODE_ADDRESS = '10.211.78.1'

/** The cgroup in which kubelet makes all of its own, in cgroupfs's form. */
export const kubeletCgroup = (): string => `/${isolation()}-kubelet`

/** The same cgroup in each hierarchy. */
export const kubeletCgroups = (): readonly string[] =>
  hierarchies().map((hierarchy) => `${hierarchy}${kubeletCgroup()}`)

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
 * The command line of a kubelet that sees files of ours in the place of the sysctls it writes: they are mounted in a
 * namespace that it can't be started without, and that ends with it. Its other mounts are seen outside, as on a node.
 */
export function kubeletCommand(directory: string, program: string, args: readonly string[]) {
  const script = ['set -e', 'mount --make-private /proc']
  for (const sysctl of SYSCTLS) {
    const ours = join(directory, 'sysctls', sysctl)
    mkdirSync(dirname(ours), { recursive: true })
    if (!existsSync(ours)) writeFileSync(ours, readFileSync(`/proc/sys/${sysctl}`))
    script.push(`mount --bind '${ours}' /proc/sys/${sysctl}`)
  }
  script.push('exec "$@"')
  const namespace = ['--mount', '--propagation', 'unchanged']
  return ['unshare', [...namespace, 'sh', '-c', script.join('\n'), 'kubelet', program, ...args]] as const
}

/** The values that kubelet is kept from writing: of the machine itself. */
export const kernelSettings = (): readonly string[] =>
  SYSCTLS.map((sysctl) => `${sysctl} = ${readFileSync(`/proc/sys/${sysctl}`, 'utf8').trim()}`)

/** What kubelet has made of its own copies. */
export const settingsOfKubelet = (directory: string): readonly string[] =>
  SYSCTLS.map((sysctl) => `${sysctl} = ${readFileSync(join(directory, 'sysctls', sysctl), 'utf8').trim()}`)

const hierarchies = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')

/** A new cgroup of cpuset (v1) has no CPU and no memory node until it is told. */
function makeCgroup(cgroup: string): void {
  mkdirSync(cgroup, { recursive: true })
  for (const file of ['cpuset.mems', 'cpuset.cpus']) {
    const path = join(cgroup, file)
    if (existsSync(path) && readFileSync(path, 'utf8').trim() === '') {
      writeFileSync(path, readFileSync(join(dirname(cgroup), file)))
    }
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

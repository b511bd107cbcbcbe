import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { differenceBetween, takeHostSnapshot } from './host-snapshot.ts'
import { isolation } from './isolation.ts'

let directory: string

beforeAll(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  run('ip', 'netns', 'add', 'first') // So that /run/netns is a mount already.
  run('ip', 'netns', 'delete', 'first')
  run('iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'ACCEPT') // And the table.
  run('iptables', '-t', 'nat', '-D', 'POSTROUTING', '-j', 'ACCEPT')
})
afterAll(() => rmSync(directory, { recursive: true }))

const run = (...[program, ...args]: readonly [string, ...string[]]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim()

interface Plant {
  readonly kind: string
  /** Leaves something behind, and answers how to take it away again. */
  readonly plant: () => (() => unknown) | Promise<() => unknown>
}

const plants: { readonly [what: string]: Plant } = {
  'a mount': {
    kind: 'mounts',
    plant: () => {
      run('mount', '-t', 'tmpfs', 'leak', directory)
      return () => run('umount', directory)
    },
  },
  'a mount that only the daemon sees': {
    kind: "daemon's mounts",
    plant: async () => {
      const daemon = 'mount -t tmpfs leak /mnt && echo ready && exec sleep 60'
      const child = spawn('unshare', ['--mount', 'sh', '-c', daemon], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      daemonPid = child.pid
      return async () => {
        child.kill()
        await once(child, 'exit')
        daemonPid = process.pid
      }
    },
  },
  'a pinned network namespace': {
    kind: 'network namespaces',
    plant: () => {
      run('ip', 'netns', 'add', 'leak')
      return () => run('ip', 'netns', 'delete', 'leak')
    },
  },
  'a network namespace that only a process holds': {
    kind: 'network namespaces',
    plant: async () => {
      const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 60'])
      await once(child.stdout, 'data')
      return async () => {
        child.kill()
        await once(child, 'exit')
      }
    },
  },
  'a link': {
    kind: 'links',
    plant: () => {
      run('ip', 'link', 'add', 'leak', 'type', 'bridge')
      return () => run('ip', 'link', 'delete', 'leak')
    },
  },
  'an iptables rule': {
    kind: 'iptables rules',
    plant: () => {
      const rule = ['POSTROUTING', '-s', '10.99.0.1', '-j', 'MASQUERADE']
      run('iptables', '-t', 'nat', '-A', ...rule)
      return () => run('iptables', '-t', 'nat', '-D', ...rule)
    },
  },
  'an nft rule': {
    kind: 'nft rules',
    plant: () => {
      run('nft', 'add', 'table', 'inet', 'leak')
      return () => run('nft', 'delete', 'table', 'inet', 'leak')
    },
  },
  'a sysctl': {
    kind: 'sysctls',
    plant: () => {
      const path = '/proc/sys/net/ipv4/ip_forward'
      const old = readFileSync(path, 'utf8').trim()
      writeFileSync(path, old === '0' ? '1' : '0')
      return () => writeFileSync(path, old)
    },
  },
  'a cgroup': {
    kind: 'cgroups',
    plant: () => {
      const cgroup = `${someCgroupRoot()}/${isolation()}-leak`
      mkdirSync(cgroup)
      return () => rmdirSync(cgroup)
    },
  },
  'an orphaned process': {
    kind: 'processes',
    plant: () => {
      const pid = run('sh', '-c', 'sleep 60 >/dev/null 2>&1 & echo $!')
      return () => process.kill(Number(pid))
    },
  },
  'a CNI lease': {
    kind: 'files',
    plant: () => {
      const lease = join(directory, 'networks/pods/10.88.0.2')
      mkdirSync(join(lease, '..'), { recursive: true })
      writeFileSync(lease, 'id')
      return () => rmSync(join(directory, 'networks'), { recursive: true })
    },
  },
  'a System V shared memory segment': {
    kind: 'IPC objects',
    plant: () => {
      const id = run('ipcmk', '--shmem', '4096').split(': ')[1] ?? ''
      return () => run('ipcrm', '--shmem-id', id)
    },
  },
  'a POSIX shared memory object': {
    kind: 'IPC objects',
    plant: () => {
      writeFileSync(`/dev/shm/leak-${process.pid}`, '')
      return () => rmSync(`/dev/shm/leak-${process.pid}`)
    },
  },
  'a POSIX message queue': {
    kind: 'IPC objects',
    plant: () => {
      writeFileSync('/run/mqueue/leak', '')
      return () => rmSync('/run/mqueue/leak')
    },
  },
  'an open file': {
    kind: "daemon's open files",
    plant: () => {
      const fd = openSync('/dev/null', 'r')
      return () => closeSync(fd)
    },
  },
}

let daemonPid: number | undefined = process.pid

test.for(Object.entries(plants))(
  '%s that is left behind is seen, and no more when it is gone',
  async ([, { kind, plant }]) => {
    const look = () => takeHostSnapshot({ daemonPid: daemonPid ?? process.pid, directories: [directory] })
    const before = look()
    const takeAway = await plant()
    const found = differenceBetween(before, look())
    await takeAway()

    expect(found).toContainEqual(expect.stringContaining(`+ ${kind}: `))
    await expect.poll(() => differenceBetween(before, look())).toEqual([])
  },
)

test('what goes missing is seen too', () => {
  run('ip', 'link', 'add', 'there', 'type', 'bridge')
  const before = takeHostSnapshot({ directories: [] })
  run('ip', 'link', 'delete', 'there')
  expect(differenceBetween(before, takeHostSnapshot({ directories: [] }))).toEqual(['- links: there'])
})

/** A cgroup v1 controller, or the v2 hierarchy. */
function someCgroupRoot(): string {
  const [root] = run('findmnt', '--noheadings', '--output', 'TARGET', '--types', 'cgroup,cgroup2').split('\n')
  if (root === undefined) throw new Error('no cgroup hierarchy is mounted')
  return root.trim()
}

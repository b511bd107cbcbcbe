import { chownSync, copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { hostname as hostHostname } from 'node:os'
import { join } from 'node:path'
import type { IdMappings } from '#lib/id-mappings.ts'
import type { DnsConfig } from '#runtime/pod-sandbox/record.ts'
import type { SandboxFiles } from '#runtime/ports.ts'
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, unmount } from './libc.ts'
import { namesIn } from './names-in.ts'
import { setSelinuxLabel } from './selinux-label.ts'

/** The files of a pod under `directory`/ID: resolv.conf, hosts, hostname, and a tmpfs of its own for /dev/shm. */
export function createSandboxFiles(directory: string): SandboxFiles {
  return {
    async create(id, { hostname, dns, shmSizeBytes, initRootfs, mappings, selinuxLabel }) {
      const home = join(directory, id)
      mkdirSync(home, { recursive: true, mode: 0o700 })
      writeFileSync(join(home, 'hostname'), `${hostname === '' ? hostHostname() : hostname}\n`)
      copyOrEmpty('/etc/hosts', join(home, 'hosts'))
      if (dns === undefined) copyOrEmpty('/etc/resolv.conf', join(home, 'resolv.conf'))
      else writeFileSync(join(home, 'resolv.conf'), resolvConf(dns))
      if (initRootfs) mkdirSync(join(home, 'init-rootfs'))
      if (mappings !== undefined) giveToRootOf(mappings, home)
      if (shmSizeBytes !== undefined) mountShm(home, shmSizeBytes, mappings)
      if (selinuxLabel !== undefined) labelFiles(home, selinuxLabel)
    },

    async remove(id) {
      await unmount(join(directory, id, 'shm'))
      await rm(join(directory, id), { recursive: true, force: true })
    },

    leftovers: () => namesIn(directory),
  }
}

function mountShm(home: string, sizeBytes: number, mappings: IdMappings | undefined): void {
  mkdirSync(join(home, 'shm'))
  mount(
    'shm',
    join(home, 'shm'),
    'tmpfs',
    MS_NOSUID | MS_NODEV | MS_NOEXEC,
    `mode=1777,size=${sizeBytes}${mappings === undefined ? '' : ownerOptions(mappings)}`,
  )
}

/** What is made in /dev/shm later has the level of who made it: the kernel does that. */
function labelFiles(home: string, label: string): void {
  for (const name of readdirSync(home)) setSelinuxLabel(Buffer.from(join(home, name)), label)
}

/** The pod's own files and their directory, made just now: it is for its root as for the host's, and for no one else. */
function giveToRootOf({ uids, gids }: IdMappings, home: string): void {
  for (const path of [home, ...readdirSync(home).map((name) => join(home, name))])
    chownSync(path, uids.hostId, gids.hostId)
}

const ownerOptions = ({ uids, gids }: IdMappings): string => `,uid=${uids.hostId},gid=${gids.hostId}`

/** resolv.conf(5). */
export function resolvConf({ servers, searches, options }: DnsConfig): string {
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function copyOrEmpty(from: string, to: string): void {
  try {
    rmSync(to, { force: true })
    copyFileSync(from, to)
  } catch {
    writeFileSync(to, '') // The host has none.
  }
}

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memoryCgroup } from './cgroup-driver.ts'
import { directoriesBelow } from './host-snapshot.ts'
import { kubeletCgroups } from './kubelet-host.ts'
import type { Kubelet } from './kubelet-lab.ts'
import type { PodState } from './kubelet-pods.ts'

interface FileSystem {
  readonly capacityBytes?: number
  readonly usedBytes?: number
}

/** What `kubectl top` and autoscalers are told. */
interface Summary {
  readonly node: { readonly runtime: { readonly imageFs: FileSystem; readonly containerFs?: FileSystem } }
  readonly pods: readonly {
    readonly podRef: { readonly name: string }
    readonly network?: { readonly rxBytes?: number }
    readonly containers?: readonly {
      readonly cpu?: { readonly usageNanoCores?: number; readonly usageCoreNanoSeconds?: number }
      readonly memory?: { readonly workingSetBytes?: number; readonly availableBytes?: number }
      readonly rootfs?: { readonly usedBytes?: number }
    }[]
  }[]
}

export const summaryOf = async (kubelet: Kubelet): Promise<Summary> =>
  JSON.parse((await kubelet.get('/stats/summary')).body)

export const pageOf = async (host: string | undefined, port = 80): Promise<string> =>
  (await fetch(`http://${host}:${port}/index.html`)).text()

export const restartsOf = ({ status }: PodState) =>
  status.containerStatuses?.map(({ restartCount }) => restartCount)

export const isAlive = ({ pid }: { readonly pid: number }): boolean => existsSync(`/proc/${pid}`)

export const podDirectory = (uid: string): string => `/var/lib/kubelet/pods/${uid}`

export const cgroupsNamed = (uid: string): readonly string[] =>
  kubeletCgroups()
    .flatMap(directoriesBelow)
    .filter((path) => new RegExp(`[/-]pod${uid}(?:\\.slice)?$`).test(path))

/** The numbers of the lines in the log and in the file before it; none when they change at the moment. */
export function aroundRotation(directory: string): readonly number[] {
  const files = () => readdirSync(directory).toSorted()
  const before = files()
  const rotated = before.findLast((name) => /^0\.log\.[\d-]+$/.test(name))
  if (rotated === undefined) return []
  const texts = [rotated, '0.log'].map((file) => readIfThere(join(directory, file)))
  if (texts.includes('') || files().join() !== before.join()) return []
  return [...texts.join('').matchAll(/^.* line (\d+) of many$/gm)].map(([, number]) => Number(number))
}

const readIfThere = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

/** By the file system, `QUOTA PERIOD` as cgroup v2 writes it. */
export function limitsOf(pid: number): { readonly memory: string; readonly cpu: string } {
  const { version, directory } = memoryCgroup(pid)
  const read = (file: string): string => readFileSync(file, 'utf8').trim()
  if (version === 2) return { memory: read(`${directory}/memory.max`), cpu: read(`${directory}/cpu.max`) }
  const cpu = directory.replace('/memory/', '/cpu/')
  const [quota, period] = ['quota', 'period'].map((name) => read(`${cpu}/cpu.cfs_${name}_us`))
  return { memory: read(`${directory}/memory.limit_in_bytes`), cpu: `${quota} ${period}` }
}

/** A line of /proc/PID/status as its words. */
export const statusOf = (pid: number, name: string): readonly string[] =>
  (
    new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  ).split(/\s+/)

import { posix } from 'node:path'
import { invalidArgument } from '#lib/errors.ts'
import type { OciMount } from '../oci-spec/oci-spec.ts'
import type { SelinuxLabels } from '../pod-sandbox/record.ts'
import type { MountSource } from '../ports.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord } from './record.ts'

/**
 * Labels for the container what its mounts say, and the VOLUMEs of its image. What is right at its root is right below, as
 * labelling ends there. Throws invalid-argument for what the host itself needs with its labels.
 */
export async function labelVolumes(
  { spec }: ContainerRecord,
  labels: SelinuxLabels | undefined,
  {
    sources,
    volumes,
  }: { readonly sources: ReadonlyMap<string, MountSource>; readonly volumes: readonly OciMount[] },
  { ports }: RuntimeContext,
): Promise<void> {
  if (labels === undefined) return
  const wrong = spec.mounts.flatMap(({ selinuxRelabel, hostPath, containerPath, image }) => {
    const source = sources.get(hostPath)
    if (selinuxRelabel !== true || image !== undefined || source === undefined) return []
    if (isSystemPath(source.path)) throw ofTheHost(source.path, containerPath)
    return source.selinuxLabel === labels.mount ? [] : [source.path]
  })
  const own = volumes.flatMap(({ type, source }) => (type === 'bind' ? [source] : []))
  const paths = [...new Set([...own, ...wrong])]
  if (paths.length > 0) await ports.selinux.relabel(spec.sandboxId, paths, labels.mount)
}

/** With the label of one pod on it, nothing else of the host could use it any more. */
const SYSTEM_PATHS: ReadonlySet<string> = new Set([
  ...[
    '/',
    '/bin',
    '/boot',
    '/dev',
    '/etc',
    '/home',
    '/lib',
    '/lib64',
    '/media',
    '/mnt',
    '/opt',
    '/proc',
    '/root',
  ],
  ...['/run', '/sbin', '/srv', '/sys', '/tmp', '/usr', '/var', '/etc/passwd', '/etc/pki', '/etc/shadow'],
  ...['/usr/bin', '/usr/lib', '/usr/lib64', '/usr/sbin', '/usr/share', '/var/lib', '/var/log', '/var/tmp'],
])
const KERNELS = ['/dev/', '/proc/', '/sys/']

const isSystemPath = (path: string): boolean =>
  SYSTEM_PATHS.has(posix.resolve(path)) || KERNELS.some((prefix) => path.startsWith(prefix))

const ofTheHost = (path: string, containerPath: string): Error =>
  invalidArgument(
    `mount of ${path} at ${containerPath}: selinux_relabel would take ${path} from the host itself: ` +
      'mount a directory below it, or leave selinux_relabel out',
  )

export interface Mount {
  readonly mountPoint: string
  /** `shared:1 master:2`: how it takes part in propagation. */
  readonly tags: string
  readonly fileSystem: string
}

/** The mount that a path lies on, by its name alone: proc_pid_mountinfo(5). Of mounts at one place the last is on top. */
export function mountOf(path: string, mountinfo: string): Mount | undefined {
  let best: Mount | undefined
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ')
    const [, , , , escaped = '', , ...tags] = left.split(' ')
    const mountPoint = escaped.replace(/\\(\d{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    if (mountPoint.length >= (best?.mountPoint.length ?? 0) && isWithin(path, mountPoint)) {
      best = { mountPoint, tags: tags.join(' '), fileSystem: right.split(' ')[0] ?? '' }
    }
  }
  return best
}

/** Those that wait for a server: all of such a mount hangs when one path of it does. */
const served = /^(?:nfs|cifs|smb|ceph|fuse|9p|afs|lustre|gluster|beegfs|virtiofs)/

/** What most likely hangs with a path: the mount it lies on where that waits for a server, else the path alone. */
export function hangsWith(path: string, mountinfo: string): string {
  const mount = mountOf(path, mountinfo)
  return mount !== undefined && served.test(mount.fileSystem) ? mount.mountPoint : path
}

export const isWithin = (path: string, directory: string): boolean =>
  directory === '/' || path === directory || (directory !== '' && path.startsWith(`${directory}/`))

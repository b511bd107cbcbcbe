import koffi from 'koffi'
import { SystemError } from './libc.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  lgetxattr: libc.func('long lgetxattr(const void *path, const char *name, void *value, size_t size)'),
  lsetxattr: libc.func(
    'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
  ),
}
/** Where the kernel keeps a file's label, with a NUL at its end. */
const ATTRIBUTE = 'security.selinux'
/** One for all calls: no label is longer than a page. */
const value = Buffer.alloc(4096)

/** Of a link its own. Undefined where it has none, or its file system has no labels. */
export function selinuxLabelOf(path: Buffer): string | undefined {
  const size = Number(natives.lgetxattr(terminated(path), ATTRIBUTE, value, value.length))
  if (size >= 0) return value.toString('utf8', 0, size).replace(/\0$/, '')
  const failure = new SystemError('lgetxattr', `${ATTRIBUTE} of ${path}`, koffi.errno())
  if (failure.code === 'ENODATA' || hasNoLabels(failure)) return undefined
  throw failure
}

/** Of a link its own. */
export function setSelinuxLabel(path: Buffer, label: string): void {
  const bytes = Buffer.from(`${label}\0`)
  if (natives.lsetxattr(terminated(path), ATTRIBUTE, bytes, bytes.length, 0) === 0) return
  throw new SystemError('lsetxattr', `${ATTRIBUTE} of ${path}`, koffi.errno())
}

/** Whether a failure says that files of that mount can't be labelled; NFS mostly, and mounts with one label for all. */
export const hasNoLabels = ({ code }: SystemError): boolean => code === 'EOPNOTSUPP' || code === 'ENOTSUP'

const terminated = (path: Buffer): Buffer => Buffer.concat([path, Buffer.of(0)])

import koffi from 'koffi'
import { SystemError } from './libc.ts'

/**
 * posix_spawn(3): child_process forks, which costs 1–3 ms of blocked event loop and grows with the heap; this 0.2 ms.
 * Node ignores SIGPIPE and may block signals; children get every signal back as it is for a program.
 */
const libc = koffi.load('libc.so.6')
const natives = {
  spawn: libc.func(
    'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **env)',
  ),
  initActions: libc.func('int posix_spawn_file_actions_init(void *actions)'),
  destroyActions: libc.func('int posix_spawn_file_actions_destroy(void *actions)'),
  addDup2: libc.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newFd)'),
  addCloseFrom: libc.func('int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)'),
  addChangeDirectory: libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)'),
  initAttributes: libc.func('int posix_spawnattr_init(void *attributes)'),
  setFlags: libc.func('int posix_spawnattr_setflags(void *attributes, short flags)'),
  setMask: libc.func('int posix_spawnattr_setsigmask(void *attributes, void *set)'),
  setDefault: libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *set)'),
}
const FILE_ACTIONS_SIZE = 80
const ATTRIBUTES_SIZE = 336
const SIGSET_SIZE = 128
const SETSIGDEF_SETSIGMASK_SETSID = 0x04 | 0x08 | 0x80

const attributes = Buffer.alloc(ATTRIBUTES_SIZE)
natives.initAttributes(attributes)
natives.setFlags(attributes, SETSIGDEF_SETSIGMASK_SETSID)
natives.setMask(attributes, Buffer.alloc(SIGSET_SIZE))
// Every signal but 32 and 33, which glibc keeps for itself.
const allSignals = Buffer.alloc(SIGSET_SIZE, 0xff)
allSignals.writeUInt8(0x7f, 3)
allSignals.writeUInt8(0xfe, 4)
natives.setDefault(attributes, allSignals)

export interface SpawnOptions {
  /** The program's path, then its arguments. */
  readonly argv: readonly [string, ...string[]]
  readonly env: { readonly [name: string]: string }
  readonly cwd?: string
  /** The child's file descriptors: fds[n] here becomes n there. It inherits no other. */
  readonly fds: readonly number[]
}

/** Starts a program in a session of its own, and answers its pid. The caller reaps it: see ProcessWatcher. */
export function posixSpawn({ argv, env, cwd, fds }: SpawnOptions): number {
  const actions = Buffer.alloc(FILE_ACTIONS_SIZE)
  check('posix_spawn_file_actions_init', '', natives.initActions(actions))
  try {
    // First out of the way of the targets: dup2 of 4 to 3 must not overwrite a 3 still to be moved.
    const base = Math.max(fds.length, ...fds.map((fd) => fd + 1))
    fds.forEach((fd, target) => check('dup2', `${fd}`, natives.addDup2(actions, fd, base + target)))
    fds.forEach((_, target) => check('dup2', `${target}`, natives.addDup2(actions, base + target, target)))
    check('closefrom', '', natives.addCloseFrom(actions, fds.length))
    if (cwd !== undefined) check('chdir', cwd, natives.addChangeDirectory(actions, cwd))
    const pid = [0]
    const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    check(
      'exec',
      argv[0],
      natives.spawn(pid, argv[0], actions, attributes, [...argv, null], [...environment, null]),
    )
    return pid[0] ?? 0
  } finally {
    natives.destroyActions(actions)
  }
}

function check(step: string, subject: string, errno: number): void {
  if (errno !== 0) throw new SystemError(step, subject, errno)
}

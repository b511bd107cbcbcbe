import { closeSync, read, writeFileSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { CriError } from '#lib/errors.ts'
import type { IdMapping, IdMappings } from '#lib/id-mappings.ts'
import { contentOf } from './command.ts'
import { fileOf, type NamespaceKind, type PinnedKind } from './enter-namespaces.ts'
import { findProgram } from './find-program.ts'
import { memoryFile, pipe } from './libc.ts'
import { posixSpawn } from './posix-spawn.ts'
import type { ProcessWatcher } from './process-watcher.ts'

/** A process that holds a new user namespace, and others that belong to it, until it is disposed. */
export interface NamespaceHolder extends AsyncDisposable {
  /** Where the namespace can be opened or pinned from. */
  path(kind: PinnedKind): string
}

export interface HolderOptions {
  readonly watcher: ProcessWatcher
  /** The holder keeps it open: see linux/object-lock.ts. */
  readonly lockFd?: number
}

const unshareOption = { user: '--user', network: '--net', ipc: '--ipc', uts: '--uts' } as const
const STDERR_LIMIT_BYTES = 4096

/**
 * Makes a user namespace, and namespaces of these kinds that belong to it, which takes one unshare(2) of a process with
 * one thread: Node has more. The holder is `cat`: it ends with its input, and that with the daemon at the latest, so
 * that a crash at any moment leaves nothing.
 */
export async function holdUserNamespace(
  mappings: IdMappings,
  kinds: readonly NamespaceKind[],
  options: HolderOptions,
): Promise<NamespaceHolder> {
  await using stack = new AsyncDisposableStack()
  const { pid, output, stderr } = startHolder(['user', ...kinds], options, stack)
  try {
    // It answers once it is where it shall be; unshare(1) ends without a word when it can't.
    const { bytesRead } = await promisify(read)(output, { buffer: Buffer.alloc(1) })
    if (bytesRead === 0) throw new Error(contentOf(stderr, STDERR_LIMIT_BYTES).toString().trim())
    writeFileSync(`/proc/${pid}/uid_map`, mapLine(mappings.uids))
    writeFileSync(`/proc/${pid}/gid_map`, mapLine(mappings.gids))
  } catch (cause) {
    throw new CriError('failed-precondition', `a user namespace can't be made: ${REMEDY}`, { cause })
  }
  const held = stack.move()
  return {
    path: (kind) => `/proc/${pid}/ns/${fileOf[kind]}`,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const REMEDY =
  'check the limits user.max_user_namespaces and user.max_net_namespaces (sysctl), and that the host ids are ids of this host'

const mapLine = ({ containerId, hostId, length }: IdMapping): string => `${containerId} ${hostId} ${length}`

/** The process, and what of its standard streams stays open here, end with `stack`. */
function startHolder(
  kinds: readonly PinnedKind[],
  { watcher, lockFd }: HolderOptions,
  stack: AsyncDisposableStack,
): { readonly pid: number; readonly output: number; readonly stderr: number } {
  using childs = new DisposableStack()
  const stderr = stack.adopt(memoryFile('stderr'), closeSync)
  const [output, stdout] = pipe()
  stack.adopt(output, closeSync)
  childs.adopt(stdout, closeSync)
  let ended: Promise<unknown> | undefined
  stack.defer(async () => void (await ended))
  const [stdin, input] = pipe()
  childs.adopt(stdin, closeSync)
  stack.adopt(input, closeSync)
  const pid = posixSpawn({
    argv: [program('unshare'), ...kinds.map((kind) => unshareOption[kind]), '--', program('cat')],
    env: {},
    fds: [stdin, stdout, stderr, ...(lockFd === undefined ? [] : [lockFd])],
  })
  ended = watcher.ended(pid)
  writeSync(input, '.')
  return { pid, output, stderr }
}

/** Throws failed-precondition where it is not installed. */
export function program(name: string): string {
  const path = findProgram(name)
  if (path !== undefined) return path
  throw new CriError(
    'failed-precondition',
    `a pod's user namespace is made by ${name}, which is not installed: install util-linux and coreutils`,
  )
}

import { stat } from 'node:fs/promises'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { ContainerEdits, InjectedDevice } from '#runtime/injection-port.ts'
import type { CdiDeviceNode, CdiEdits } from './cdi-spec.ts'
import { deviceNumbers } from './device-nodes.ts'

/** With the types and numbers of device nodes taken from the host where the file leaves them out. `of` is for messages. */
export async function completeEdits(edits: CdiEdits, of: string): Promise<ContainerEdits> {
  const { env, additionalGids, intelRdt } = edits
  return {
    ...{ env, additionalGids, intelRdt: intelRdt as ContainerEdits['intelRdt'] },
    devices: await Promise.all(edits.deviceNodes.map((node) => completeNode(node, of))),
    mounts: edits.mounts.map(({ hostPath, containerPath, type, options }) => ({
      ...{ hostPath, containerPath, type, options },
    })),
    hooks: edits.hooks.map(({ hookName, path, args, env: hookEnv, timeout }) => ({
      ...{ stage: hookName, path },
      ...(args === undefined ? {} : { args }),
      ...(hookEnv === undefined ? {} : { env: hookEnv }),
      ...(timeout === undefined ? {} : { timeout }),
    })),
    netDevices: edits.netDevices.map(({ hostInterfaceName, name }) => ({
      hostName: hostInterfaceName,
      name,
    })),
  }
}

async function completeNode(node: CdiDeviceNode, of: string): Promise<InjectedDevice> {
  const { path, hostPath, uid, gid, permissions } = node
  const { type, numbers, mode } = await identify(node, `${of}: device node ${hostPath || path}`)
  return {
    ...{ path, type, permissions: permissions === 'none' ? '' : permissions || 'rwm' },
    ...(type === 'p' ? {} : numbers),
    ...(mode === undefined ? {} : { mode: mode & 0o777 }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  }
}

type Identity = Pick<NodeOnHost, 'numbers'> & {
  readonly type: InjectedDevice['type']
  readonly mode: number | undefined
}

/** A node that names its type and its number need not be on the host; else it must be as the host has it. */
async function identify(node: CdiDeviceNode, what: string): Promise<Identity> {
  const { type, major, minor } = node
  const found = await lookAt(node.hostPath || node.path)
  const mode = node.fileMode ?? (typeof found === 'string' ? undefined : found.mode)
  if (isDefined(node)) return { type: type || 'c', mode, numbers: { major, minor } }
  const onHost = sameKind(type, found, what)
  return { type: type || onHost.type, mode, numbers: major === 0 ? onHost.numbers : { major, minor } }
}

/** What was found, where it is a device node of the wanted type. */
function sameKind(type: CdiDeviceNode['type'], found: NodeOnHost | string, what: string) {
  const wrong = (how: string): CriError => new CriError('failed-precondition', `${what} ${how}`)
  if (typeof found === 'string') throw wrong(`cannot be looked at (${found}): is the driver loaded?`)
  if (found.type === undefined) throw wrong('is no device node')
  const wanted = type === 'u' ? 'c' : type
  if (wanted === '' || wanted === found.type) return { type: found.type, numbers: found.numbers }
  throw wrong(`is of type ${found.type} on this host, not ${type}`)
}

const isDefined = ({ type, major }: CdiDeviceNode): boolean => type === 'p' || (type !== '' && major !== 0)

interface NodeOnHost {
  readonly type: 'b' | 'c' | 'p' | undefined
  readonly numbers: { readonly major: number; readonly minor: number }
  readonly mode: number
}

/** Or the code of the failure. */
async function lookAt(path: string): Promise<NodeOnHost | string> {
  try {
    const found = await stat(path, { bigint: true })
    const type = found.isBlockDevice()
      ? 'b'
      : found.isCharacterDevice()
        ? 'c'
        : found.isFIFO()
          ? 'p'
          : undefined
    return { type, numbers: deviceNumbers(found.rdev), mode: Number(found.mode) }
  } catch (error) {
    return errnoOf(error) ?? 'unknown'
  }
}

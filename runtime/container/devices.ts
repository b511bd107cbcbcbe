import { parseDeviceArgument } from '#lib/device-argument.ts'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { ContainerDefaults } from '../container-defaults.ts'
import type { SandboxSpec } from '../pod-sandbox/record.ts'
import type { HostDevice } from '../ports.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord, ContainerSpec, Device, ResolvedUser } from './record.ts'

/** CRI-O's, of pods and containers. */
const ANNOTATION = 'io.kubernetes.cri-o.Devices'

/**
 * All of the host's for a privileged container, unless its handler keeps them; then those that every container of the
 * node has, those of the annotation and those asked for: of two at one path the later counts.
 */
export async function findDevices(
  { spec, handler }: ContainerRecord,
  sandbox: SandboxSpec,
  { ports, options }: Pick<RuntimeContext, 'ports' | 'options'>,
): Promise<readonly HostDevice[]> {
  const annotated = annotatedDevices({ ...sandbox.annotations, ...spec.annotations }, options.defaults)
  const { privilegedWithoutHostDevices } = options.handler(handler).settings
  const isGivenAll = spec.security.privileged && !privilegedWithoutHostDevices
  const found = await Promise.all([
    isGivenAll ? ports.hostPaths.allDevices() : [],
    ...options.defaults.devices.map((device) => additional(device, ports)),
    ...[...annotated, ...spec.devices].map((device) => ports.hostPaths.devices(device)),
  ])
  return found.flat()
}

/** Throws invalid-argument for one that the node does not allow: its pod would find out later, or never. */
export function annotatedDevices(
  annotations: { readonly [name: string]: string },
  { allowedDevices }: Pick<ContainerDefaults, 'allowedDevices'>,
): readonly Device[] {
  const texts = (annotations[ANNOTATION] ?? '').split(',').map((text) => text.trim())
  return texts.filter(Boolean).map((text) => {
    const device = parseDeviceArgument(text)
    if (device === undefined)
      throw invalidArgument(`annotation ${ANNOTATION} has "${text}": it may be /dev/host:/dev/container:rwm`)
    if (allowedDevices.includes(device.hostPath)) return device
    throw invalidArgument(
      `annotation ${ANNOTATION} asks for ${device.hostPath}, which this node does not allow: ` +
        'leave it out, or add it to runtime.allowed_devices',
    )
  })
}

/** Device nodes given to the user and the group that the request names, as far as it names them. */
export const ownedBy = (
  devices: readonly HostDevice[],
  user: ResolvedUser,
  asked: ContainerSpec['security']['user'],
): readonly HostDevice[] =>
  devices.map((device) => ({
    ...device,
    uid: asked.user === '' ? device.uid : user.uid,
    gid: asked.group === undefined ? device.gid : user.gid,
  }))

async function additional(
  device: Device,
  { hostPaths }: RuntimeContext['ports'],
): Promise<readonly HostDevice[]> {
  try {
    return await hostPaths.devices(device)
  } catch (cause) {
    const message = `runtime.additional_devices has ${device.hostPath}, which no container can be given`
    throw new CriError('failed-precondition', message, { cause })
  }
}

import { posix } from 'node:path'
import type { ContainerEdits, InjectedDevice, InjectedMount } from '../injection-port.ts'
import type { OciDevice, OciDeviceRule, OciHooks, OciMount, OciSpec } from './oci-spec.ts'
import { mergeEnvironment } from './process.ts'

export const NO_EDITS: ContainerEdits = {
  ...{ env: [], devices: [], mounts: [], hooks: [], additionalGids: [], netDevices: [] },
  intelRdt: undefined,
}

/** config.json with all edits made, one after the other: each goes over what was there, as by the CDI's own library. */
export const applyEdits = (spec: OciSpec, edits: readonly ContainerEdits[]): OciSpec =>
  edits.reduce(applyOne, spec)

function applyOne(spec: OciSpec, edits: ContainerEdits): OciSpec {
  const { process, linux } = spec
  const paths = new Set(edits.devices.map(({ path }) => path))
  const devices = edits.devices.map((device) => toDevice(device, process.user))
  const gids = edits.additionalGids.filter((gid) => gid !== 0)
  const netDevices = edits.netDevices.map(({ hostName, name }) => [hostName, { name }] as const)
  return {
    ...spec,
    process: {
      ...process,
      env: mergeEnvironment(process.env, edits.env),
      user: { ...process.user, additionalGids: [...new Set([...process.user.additionalGids, ...gids])] },
    },
    mounts: edits.mounts.reduce(placeMount, spec.mounts),
    ...hooksWith(spec.hooks, edits.hooks),
    linux: {
      ...linux,
      devices: [...linux.devices.filter(({ path }) => !paths.has(path)), ...devices],
      resources: {
        ...linux.resources,
        devices: [...(linux.resources.devices ?? []), ...edits.devices.flatMap(toRule)],
      },
      ...(edits.intelRdt === undefined ? {} : { intelRdt: edits.intelRdt }),
      ...(netDevices.length === 0
        ? {}
        : { netDevices: { ...linux.netDevices, ...Object.fromEntries(netDevices) } }),
    },
  }
}

function toDevice(device: InjectedDevice, { uid, gid }: OciSpec['process']['user']): OciDevice {
  const { path, type, major = 0, minor = 0, mode } = device
  return {
    ...{ path, type, major, minor },
    ...(mode === undefined ? {} : { fileMode: mode }),
    uid: device.uid ?? uid,
    gid: device.gid ?? gid,
  }
}

function toRule({ type, major, minor, permissions }: InjectedDevice): readonly OciDeviceRule[] {
  if (type === 'p' || major === undefined || minor === undefined || permissions === '') return []
  return [{ allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access: permissions }]
}

/** Instead of what is mounted at the same path, and before all that is mounted below it. */
function placeMount(mounts: readonly OciMount[], mount: InjectedMount): readonly OciMount[] {
  const path = posix.resolve('/', mount.containerPath)
  const others = mounts.filter(({ destination }) => posix.resolve('/', destination) !== path)
  const below = others.findIndex(({ destination }) => posix.resolve('/', destination).startsWith(`${path}/`))
  return others.toSpliced(below < 0 ? others.length : below, 0, toMount(mount))
}

/** One that says neither what it is nor how is a bind mount. */
function toMount({ hostPath, containerPath, type, options }: InjectedMount): OciMount {
  const isKnown =
    options.some((option) => option === 'bind' || option === 'rbind') || !/^(bind|none)?$/.test(type)
  return {
    destination: containerPath,
    source: hostPath,
    type: type || 'bind',
    options: isKnown ? options : ['rbind', ...options],
  }
}

function hooksWith(
  hooks: OciHooks | undefined,
  more: ContainerEdits['hooks'],
): { readonly hooks?: OciHooks } {
  const stages: { [stage: string]: OciHooks[keyof OciHooks] } = { ...hooks }
  for (const { stage, ...hook } of more) stages[stage] = [...(stages[stage] ?? []), hook]
  return Object.keys(stages).length === 0 ? {} : { hooks: stages }
}

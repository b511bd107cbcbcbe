/** A device as command lines and annotations name it: HOST[:CONTAINER][:PERMISSIONS]. */
export interface DeviceArgument {
  readonly hostPath: string
  readonly containerPath: string
  /** A part of rwm; all of it unless said. */
  readonly permissions: string
}

/** Undefined for what is not of that form. */
export function parseDeviceArgument(text: string): DeviceArgument | undefined {
  const [, hostPath = '', containerPath = hostPath, permissions = 'rwm'] =
    /^(\/[^:\0]+)(?::(\/[^:\0]+))?(?::([rwm]{1,3}))?$/.exec(text) ?? []
  return hostPath === '' ? undefined : { hostPath, containerPath, permissions }
}

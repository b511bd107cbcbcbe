import { isUtf8 } from 'node:buffer'
import { posix } from 'node:path'
import { invalidArgument } from '#lib/errors.ts'
import type * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerSpec } from '#runtime/container/record.ts'
import { convertCdiDevices } from './convert-cdi.ts'
import { convertCommand } from './convert-command.ts'
import { absolute, convertDevice, convertMount } from './convert-mounts.ts'
import { convertResources } from './convert-resources.ts'
import { convertSecurityContext } from './convert-security-context.ts'
import { convertStopSignal } from './convert-stop-signal.ts'
import { ignored } from './ignored.ts'
import { within } from './within.ts'

/** `sandboxId` is a full id. Throws invalid-argument for what is wrong, unimplemented for what is not done yet. */
export function convertContainerConfig(
  config: wire.ContainerConfig | undefined,
  sandboxId: string,
): ContainerSpec {
  if (config === undefined) throw invalidArgument('config is missing: it says which container to create')
  const { name, attempt } = config.metadata ?? { name: '', attempt: 0 }
  if (name === '') throw invalidArgument('config.metadata.name is empty: a container has a name')
  return within(`container ${name}`, () => {
    ignored(config.windows, 'this is Linux')
    const cdiDevices = convertCdiDevices(config)
    return {
      sandboxId,
      name,
      attempt,
      ...convertImage(config.image),
      command: convertCommand(config.command, 'command'),
      args: convertCommand(config.args, 'args'),
      workingDirectory: config.workingDir === '' ? '' : absolute(config.workingDir, 'working_dir'),
      env: config.envs.map(convertVariable),
      mounts: config.mounts.map(convertMount),
      devices: config.devices.map(convertDevice),
      ...(cdiDevices.length === 0 ? {} : { cdiDevices }),
      labels: { ...config.labels },
      annotations: { ...config.annotations },
      logPath: convertLogPath(config.logPath),
      stdin: config.stdin,
      stdinOnce: config.stdinOnce,
      tty: config.tty,
      stopSignal: convertStopSignal(config.stopSignal),
      resources: convertResources(config.linux?.resources),
      security: convertSecurityContext(config.linux?.securityContext),
    }
  })
}

function convertImage(
  image: wire.ImageSpec | undefined,
): Pick<ContainerSpec, 'imageReference' | 'userSpecifiedImage'> {
  if (image === undefined || image.image === '') {
    throw invalidArgument('image.image is empty: name an image, as PullImage or ListImages answers it')
  }
  ignored(image.annotations, 'they help to choose an image while it is pulled')
  ignored(image.runtimeHandler, 'of use while it is pulled')
  ignored(image.imageRef, 'of image volumes')
  return { imageReference: image.image, userSpecifiedImage: image.userSpecifiedImage }
}

/** Bytes since cri-api v0.37; config.json is JSON, and execve(2) ends a variable at NUL. */
function convertVariable({ key, value }: wire.KeyValue, index: number): ContainerSpec['env'][number] {
  if (key === '' || /[=\0]/.test(key)) {
    throw invalidArgument(
      `envs[${index}].key is ${JSON.stringify(key)}: it is not empty and has no = and no NUL`,
    )
  }
  if (!isUtf8(value) || value.includes(0)) {
    throw invalidArgument(
      `envs[${index}].value, of ${key}, is not UTF-8 text without NUL, which config.json cannot hold: encode it, as base64 say`,
    )
  }
  return { name: key, value: value.toString() }
}

function convertLogPath(logPath: string): string {
  const path = posix.normalize(logPath)
  if (
    logPath === '' ||
    !(
      path.includes('\0') ||
      posix.isAbsolute(path) ||
      path.split('/').includes('..') ||
      path.endsWith('/') ||
      path === '.'
    )
  ) {
    return logPath === '' ? '' : path
  }
  throw invalidArgument(
    `log_path is ${JSON.stringify(logPath)}: it must be a file below the pod's log_directory, as web/0.log`,
  )
}

import { z } from 'zod'
import { durationMs } from '#lib/duration.ts'
import type { KeyPath } from '#lib/key-lines.ts'
import type { HandlerSettings } from '#runtime/handler.ts'
import { readBaseSpec } from './base-spec.ts'
import { PROGRAM, path, says } from './key-meta.ts'

const DURATION = 'a duration in h, m, s and ms such as "2m" or "90s"'

/** The table of one handler: [runtime.handlers.NAME]. */
export const handler = z.strictObject({
  type: z
    .enum(['oci'])
    .default('oci')
    .meta(says("How the handler is driven: by the OCI runtime's command line.", '"oci"')),
  path: z
    .string()
    .regex(PROGRAM)
    .optional()
    .meta(says('The OCI runtime.', 'an absolute path, or a name to be found in PATH', "the handler's name")),
  sandbox: z
    .enum(['auto', 'namespaces', 'container'])
    .default('auto')
    .meta(
      says(
        'What a pod sandbox is made of: namespaces that its containers join, or a container of the OCI runtime that they live in; auto is a container for runsc (gVisor), namespaces for all others.',
        '"auto", "namespaces" or "container"',
      ),
    ),
  root: path
    .optional()
    .meta(
      says(
        'Where the OCI runtime keeps its state (its --root); it must not survive a reboot.',
        'an absolute path',
        'a directory of the handler below state',
      ),
    ),
  monitor_cgroup: z
    .string()
    .regex(/^(?:pod|(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+)$/)
    .optional()
    .meta(
      says(
        "The cgroup that the monitors of the handler's containers live in; pod is one inside of the pod's, which counts them to the pod.",
        '"pod", or the absolute path of a cgroup below the root of the cgroup file system',
        "cri-ts-monitors below the daemon's own cgroup",
      ),
    ),
  create_timeout: z
    .string()
    .refine((value) => (durationMs(value) ?? 0) > 0)
    .default('2m')
    .meta(
      says(
        'How long the OCI runtime may take to create a container before it is killed and the creation fails.',
        `${DURATION}, and not 0`,
      ),
    ),
  cni_conf_dir: path
    .optional()
    .meta(
      says(
        "Where the CNI network configuration of the handler's pods is looked for.",
        'an absolute path',
        'cni.conf_dir',
      ),
    ),
  base_spec: path
    .optional()
    .meta(
      says(
        'A config.json of the OCI runtime specification, or part of one, whose parts a container has where neither its request nor cri-ts says otherwise; who the container is and how it is confined is never taken from it.',
        'an absolute path of a JSON file',
        'none',
      ),
    ),
  seccomp_profile: path
    .optional()
    .meta(
      says(
        'The seccomp profile that RuntimeDefault means, in the format of containers/common.',
        'an absolute path of a JSON file',
        'the built-in one',
      ),
    ),
  privileged_without_host_devices: z
    .boolean()
    .default(false)
    .meta(says("Privileged containers don't get all of the host's devices.", 'true or false')),
  privileged_without_host_devices_all_devices_allowed: z
    .boolean()
    .default(false)
    .meta(
      says(
        'They may still use every device, once they have made its node; needs privileged_without_host_devices.',
        'true or false',
      ),
    ),
  allowed_annotations: z
    .array(z.string().min(1))
    .default([])
    .meta(
      says(
        'Annotations of the pod and the container that are passed on to the OCI runtime in config.json.',
        'an array of annotation names, in which * stands for any text',
      ),
    ),
})

export type HandlerTable = z.infer<typeof handler>

/** What is wrong only when keys are seen together, or with the files they name: the key to blame, and what to do. */
export function handlerContradictions(name: string, table: HandlerTable): [KeyPath, string][] {
  const at = (key: string): string => `runtime.handlers.${name}.${key}`
  const found: [KeyPath, string][] = []
  const without = 'privileged_without_host_devices'
  const allowed = 'privileged_without_host_devices_all_devices_allowed'
  if (table[allowed] && !table[without])
    found.push([
      ['runtime', 'handlers', name, allowed],
      `${at(allowed)} is set without ${without}: set both or none`,
    ])
  const base = table.base_spec === undefined ? undefined : readBaseSpec(table.base_spec)
  if (base !== undefined && 'problem' in base)
    found.push([
      ['runtime', 'handlers', name, 'base_spec'],
      `${at('base_spec')} is ${table.base_spec}: it must be a config.json of the OCI runtime specification: ${base.problem}`,
    ])
  return found
}

export function handlerSettings(name: string, table: HandlerTable): HandlerSettings {
  const base = table.base_spec === undefined ? undefined : readBaseSpec(table.base_spec)
  return {
    type: table.type,
    path: table.path ?? name,
    sandbox: table.sandbox,
    root: table.root,
    monitorCgroup: table.monitor_cgroup,
    createTimeoutMs: durationMs(table.create_timeout) ?? 0,
    cniConfDir: table.cni_conf_dir,
    baseSpec: base !== undefined && 'spec' in base ? base.spec : undefined,
    seccompProfile: table.seccomp_profile,
    privilegedWithoutHostDevices: table.privileged_without_host_devices,
    privilegedWithoutHostDevicesAllDevicesAllowed: table.privileged_without_host_devices_all_devices_allowed,
    allowedAnnotations: table.allowed_annotations,
  }
}

import { isIP } from 'node:net'
import { z } from 'zod'
import { durationMs } from '#lib/duration.ts'
import { confinementKeys } from './confinement-schema.ts'
import { defaultsShape } from './defaults-schema.ts'
import { handler } from './handler-schema.ts'
import { imageTable } from './image-schema.ts'
import { PROGRAM, path, says } from './key-meta.ts'
import { metricsTable } from './metrics-schema.ts'
import { mountKeys } from './mount-schema.ts'

/** sun_path of unix(7) holds 108 bytes with the zero that ends it. */
const SOCKET_PATH_LIMIT_BYTES = 107
const ADMIN_SOCKET = '/admin.sock'

const LABEL = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/

const fitsSocket = (path: string): boolean => Buffer.byteLength(path) <= SOCKET_PATH_LIMIT_BYTES
const socket = z
  .string()
  .regex(/^(?:unix:\/\/)?\/[^\0]*[^/\0]$/)
  .refine((value) => fitsSocket(value.replace('unix://', '')))

/** The file as it is written: every key with its default, its unit and one sentence. docs/configuration.md is made of it. */
export const configSchema = z.strictObject({
  root: path
    .default('/var/lib/cri-ts')
    .meta(says('What survives a reboot: images, records and cached CNI results.', 'an absolute path')),
  state: path
    .refine((value) => fitsSocket(value + ADMIN_SOCKET))
    .default('/run/cri-ts')
    .meta(
      says(
        'What does not survive a reboot: namespaces, bundles, exit files and the admin socket.',
        `an absolute path of at most ${SOCKET_PATH_LIMIT_BYTES - ADMIN_SOCKET.length} bytes`,
      ),
    ),
  listen: socket
    .default('/run/cri-ts/cri-ts.sock')
    .meta(
      says(
        'The socket that kubelet and crictl connect to.',
        `an absolute path or a unix:// URL, the path at most ${SOCKET_PATH_LIMIT_BYTES} bytes`,
      ),
    ),
  log_level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .default('info')
    .meta(
      says('The least severe of what is logged.', '"trace", "debug", "info", "warn", "error" or "fatal"'),
    ),
  log_format: z
    .enum(['json', 'pretty'])
    .default('json')
    .meta(says('Lines of JSON for machines, or text for people; both go to stderr.', '"json" or "pretty"')),
  cni: z
    .strictObject({
      conf_dir: path
        .default('/etc/cni/net.d')
        .meta(says('Where network configurations lie; the first by name is used.', 'an absolute path')),
      bin_dirs: z
        .array(path)
        .nonempty()
        .default(['/opt/cni/bin', '/usr/lib/cni'])
        .meta(
          says('Where CNI plugins are looked for, in this order.', 'an array of at least one absolute path'),
        ),
      gc: z
        .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/))
        .default([])
        .meta(
          says(
            'Networks on which CNI GC may free what no pod of this daemon owns; name only those that no other runtime of the host uses.',
            'an array of CNI network names',
          ),
        ),
    })
    .prefault({}),
  runtime: z
    .strictObject({
      default_handler: z
        .string()
        .regex(LABEL)
        .default('auto')
        .meta(
          says(
            "The handler of pods that name none; auto is the first of crun, runc that can run with this host's cgroups.",
            '"auto" or the name of a handler',
          ),
        ),
      monitor: z
        .string()
        .regex(PROGRAM)
        .default('conmon')
        .meta(
          says(
            'The monitor that stays with each container.',
            'an absolute path, or a name to be found in PATH',
          ),
        ),
      ...confinementKeys,
      cgroup_driver: z
        .enum(['auto', 'systemd', 'cgroupfs'])
        .default('auto')
        .meta(
          says(
            'Who makes the cgroups, as kubelet is told; auto is systemd where that is PID 1.',
            '"auto", "systemd" or "cgroupfs"',
          ),
        ),
      ...defaultsShape,
      blockio_config: path
        .optional()
        .meta(
          says(
            "Classes of block I/O limits that annotations name (blockio.resources.beta.kubernetes.io/pod), in goresctrl's format; read for each container that names one.",
            'an absolute path of a YAML file',
            'no classes',
          ),
        ),
      cdi_spec_dirs: z
        .array(path)
        .default(['/etc/cdi', '/var/run/cdi'])
        .meta(
          says(
            'Where specifications of CDI devices lie, read anew when they change; the last directory has the last word on a device.',
            'an array of absolute paths; empty for no CDI',
          ),
        ),
      hooks_dirs: z
        .array(path)
        .default([])
        .meta(
          says(
            'Where OCI hooks lie, in the format of oci-hooks(5) 1.0.0, read anew when they change; a file of a later directory replaces one of its name. A file that cannot be used fails the creation of containers.',
            'an array of absolute paths, such as "/usr/share/containers/oci/hooks.d"; empty for no hooks',
          ),
        ),
      ...mountKeys,
      handlers: z
        .record(
          z
            .string()
            .regex(LABEL)
            .refine((name) => name !== 'auto'),
          handler,
        )
        .prefault({})
        .meta(
          says(
            "Runtime handlers by the name that a pod's RuntimeClass gives; crun and runc are always there.",
            'tables whose names are lower case letters, digits, ".", "_" and "-", and not "auto"',
          ),
        ),
    })
    .prefault({}),
  image: imageTable,
  metrics: metricsTable,
  streaming: z
    .strictObject({
      address: z
        .string()
        .refine((value) => isIP(value) !== 0)
        .default('127.0.0.1')
        .meta(
          says(
            'Where exec, attach and port-forward are served; clients reach it through kubelet, by URLs that are good once.',
            'an IP address',
          ),
        ),
      port: z
        .int()
        .min(0)
        .max(65_535)
        .default(0)
        .meta(says('Its TCP port; 0 is any free one.', 'a TCP port from 0 to 65535')),
      tls_cert: path
        .optional()
        .meta(
          says(
            'The certificate, with its chain, that it is served with over TLS; read anew when it changes. Needs tls_key.',
            'an absolute path of a PEM file',
            'no TLS',
          ),
        ),
      tls_key: path.optional().meta(says('The key of tls_cert.', 'an absolute path of a PEM file', 'no TLS')),
      tls_min_version: z
        .enum(['1.2', '1.3'])
        .default('1.2')
        .meta(says('The oldest version of TLS that is spoken.', '"1.2" or "1.3"')),
      idle_timeout: z
        .string()
        .refine((value) => durationMs(value) !== undefined)
        .default('4h')
        .meta(
          says(
            'How long a session may go without a byte in either direction (a ping of the client is one) before it is ended, and the command of an exec killed; "0" is for ever.',
            'a duration in h, m, s and ms such as "4h", "1h30m" or "90s", or "0"',
          ),
        ),
    })
    .prefault({}),
})

export type FileConfig = z.infer<typeof configSchema>

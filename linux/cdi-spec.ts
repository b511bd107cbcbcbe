import { parse as parseYaml, type ScalarTag, type Tags } from 'yaml'
import { z } from 'zod'
import { CDI_DEVICE, CDI_KIND } from '#lib/cdi-names.ts'
import { describeIssues } from './describe-issues.ts'

/** A file of the Container Device Interface (SPEC.md of cncf-tags/container-device-interface), checked. */
export type CdiSpec = z.infer<typeof specSchema>
export type CdiEdits = z.infer<typeof editsSchema>
export type CdiDeviceNode = CdiEdits['deviceNodes'][number]

/** Those there are; a file may use what came later than its own version. */
const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0']

const text = z.string().min(1, 'is empty')
const id = z.int().min(0).max(0xffff_ffff)
const environment = z.array(z.string().regex(/^[^=\0]+=[^\0]*$/, 'is not of the form NAME=value')).default([])
const annotations = z.record(z.string(), z.string()).optional()

const deviceNode = z.strictObject({
  path: text,
  hostPath: z.string().default(''),
  type: z.enum(['', 'b', 'c', 'u', 'p']).default(''),
  major: z.int().min(0).default(0),
  minor: z.int().min(0).default(0),
  fileMode: z.int().min(0).optional(),
  permissions: z
    .string()
    .regex(/^(?:none|[rwm]*)$/, 'may have r, w and m, or be none')
    .default(''),
  uid: id.optional(),
  gid: id.optional(),
})

const hook = z.strictObject({
  hookName: z.enum([
    'prestart',
    'createRuntime',
    'createContainer',
    'startContainer',
    'poststart',
    'poststop',
  ]),
  path: z.string().startsWith('/', 'is not an absolute path'),
  args: z.array(z.string()).optional(),
  env: environment.optional(),
  timeout: z.int().min(1).optional(),
})

const intelRdt = z.strictObject({
  /** A directory of resctrl: no other path. */
  closID: z
    .string()
    .max(255)
    .refine((name) => name === '/' || (name !== '.' && name !== '..' && !/[/\n]/.test(name)), 'is no name')
    .optional(),
  l3CacheSchema: z.string().optional(),
  memBwSchema: z.string().optional(),
  schemata: z.array(z.string()).optional(),
  enableMonitoring: z.boolean().optional(),
})

/** JSON in Go does not tell cases apart, and SPEC.md writes this one both ways. */
const oneSpelling = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || !('additionalGIDs' in value)) return value
  const { additionalGIDs, ...rest } = value
  return { additionalGids: additionalGIDs, ...rest }
}

const editsSchema = z.preprocess(
  oneSpelling,
  z.strictObject({
    env: environment,
    deviceNodes: z.array(deviceNode).default([]),
    netDevices: z.array(z.strictObject({ hostInterfaceName: text, name: text })).default([]),
    hooks: z.array(hook).default([]),
    mounts: z
      .array(
        z.strictObject({
          hostPath: text,
          containerPath: text,
          options: z.array(z.string()).default([]),
          type: z.string().default(''),
        }),
      )
      .default([]),
    intelRdt: intelRdt.optional(),
    additionalGids: z.array(id).default([]),
  }),
)

const specSchema = z.strictObject({
  cdiVersion: z
    .string()
    .refine((version) => VERSIONS.includes(version.replace(/^v/, '')), `is none of ${VERSIONS.join(', ')}`),
  kind: z.string().regex(CDI_KIND, 'is not of the form vendor.com/class'),
  annotations,
  devices: z
    .array(
      z.strictObject({
        name: z.string().regex(CDI_DEVICE, 'is no device name: letters, digits, ".", "_", ":" and "-"'),
        annotations,
        containerEdits: editsSchema.prefault({}),
      }),
    )
    .min(1, 'is empty')
    .refine((devices) => new Set(devices.map(({ name }) => name)).size === devices.length, {
      error: 'has a name twice',
    }),
  containerEdits: editsSchema.prefault({}),
})

/** Throws an Error that says what is wrong, with the key: `devices[0].containerEdits.mounts[1].hostPath is empty`. */
export function parseCdiSpec(content: string, format: 'json' | 'yaml'): CdiSpec {
  const parsed = specSchema.safeParse(format === 'json' ? JSON.parse(content) : fromYaml(content))
  if (parsed.success) return parsed.data
  throw new Error(describeIssues(parsed.error))
}

/** As YAML 1.1, so that `fileMode: 0660` is octal as for the vendors' own tools; without its times, which read `1:30` as 90. */
const fromYaml = (content: string): unknown =>
  parseYaml(content, { version: '1.1', customTags: withoutTimes, logLevel: 'error' }) as unknown

const withoutTimes = (tags: Tags): Tags =>
  tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      !((tag as ScalarTag).format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp'),
  )

import { z } from 'zod'
import { invalidArgument } from '#lib/errors.ts'
import type { ImageConfig } from '#runtime/ports.ts'
import { parseArtifact } from './artifact-config.ts'
import { platformText } from './manifest.ts'
import type { Platform } from './platform.ts'

/** What cri-ts reads of an image's config blob (OCI image-spec config.md; Docker's has the same shape). */
export interface ParsedImageConfig {
  readonly config: ImageConfig
  /** Base first. */
  readonly diffIds: readonly string[]
  /** Each part '' where it is not said. */
  readonly platform: Platform
  /** Of an artifact, which has no config: then `diffIds` are names of its own. */
  readonly artifactType?: string
}

/** Far more than can be run with; without, each wrong one of the millions that fit in would be told. */
const MOST_ENTRIES = 10_000
/** A directory each of the container. */
const MOST_VOLUMES = 1000
/** Go writes an empty list or map as null. */
const strings = z.array(z.string()).max(MOST_ENTRIES).nullish()
const text = z.string().nullish()
const schema = z.object({
  os: platformText.nullish(),
  architecture: platformText.nullish(),
  variant: platformText.nullish(),
  rootfs: z.object({
    diff_ids: z
      .array(z.string().regex(/^sha256:[0-9a-f]{64}$/))
      .max(MOST_ENTRIES)
      .nullish(),
  }),
  config: z
    .object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      User: text,
      WorkingDir: text,
      StopSignal: text,
      Volumes: z
        .record(z.string(), z.unknown())
        .refine((volumes) => Object.keys(volumes).length <= MOST_VOLUMES, `has more than ${MOST_VOLUMES}`)
        .nullish(),
    })
    .nullish(),
})

/** `blob` as the registry or an archive gave it, or the manifest of an artifact; `what` names the image in the message. Throws invalid-argument. */
export function parseImageConfig(blob: Buffer, what: string): ParsedImageConfig {
  const json = jsonOf(blob, what)
  return parseArtifact(blob, json) ?? parseConfig(json, what)
}

function parseConfig(json: unknown, what: string): ParsedImageConfig {
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw notAnImages(what, parsed.error)
  const { config, rootfs, os, architecture, variant } = parsed.data
  return {
    config: {
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      env: config?.Env ?? [],
      user: config?.User ?? '',
      workingDirectory: config?.WorkingDir ?? '',
      stopSignal: config?.StopSignal ?? '',
      volumes: Object.keys(config?.Volumes ?? {}),
    },
    diffIds: rootfs.diff_ids ?? [],
    platform: { os: os ?? '', architecture: architecture ?? '', variant: variant ?? '' },
  }
}

function notAnImages(what: string, { issues: [issue] }: z.ZodError) {
  const [path = [], message = ''] = [issue?.path, issue?.message]
  return invalidArgument(`the config of ${what} is not an image's: ${path.join('.')} ${message}`)
}

function jsonOf(blob: Buffer, what: string): unknown {
  try {
    return JSON.parse(blob.toString())
  } catch (cause) {
    throw invalidArgument(`the config of ${what} is not JSON`, { cause })
  }
}

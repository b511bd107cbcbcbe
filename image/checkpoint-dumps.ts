import { z } from 'zod'
import { invalidArgument } from '#lib/errors.ts'
import type { CheckpointDescription } from '#runtime/checkpoint-port.ts'

/** config.dump as checkpointctl and CRI-O have it; times in RFC 3339. */
export function configDump({
  containerId,
  containerName,
  handler,
  images,
  createdAtNs,
  checkpointedAtNs,
}: CheckpointDescription): string {
  const [id = '', name = id, asked = name] = images
  return JSON.stringify({
    id: containerId,
    name: containerName,
    rootfsImage: asked,
    rootfsImageRef: id,
    rootfsImageName: name,
    runtime: handler,
    createdTime: rfc3339(createdAtNs),
    checkpointedTime: rfc3339(checkpointedAtNs),
    restoredTime: '0001-01-01T00:00:00Z',
    restored: false,
  })
}

const rfc3339 = (ns: string): string => new Date(Number(BigInt(ns) / 1_000_000n)).toISOString()

const configSchema = z.object({
  rootfsImageRef: z.string().optional(),
  rootfsImageName: z.string().optional(),
  rootfsImage: z.string().optional(),
})

/** The image that the container ran from, by each of its names, most exact first. */
export function parseConfigDump(text: string): readonly string[] {
  const { rootfsImageRef, rootfsImageName, rootfsImage } = parse('config.dump', text, configSchema)
  const images = [rootfsImageRef, rootfsImageName, rootfsImage].flatMap((name) => name || [])
  if (images.length > 0) return [...new Set(images)]
  throw invalidArgument(
    'its config.dump names no image: rootfsImageRef, rootfsImageName and rootfsImage are empty',
  )
}

const specSchema = z.object({
  mounts: z
    .array(
      z.object({
        destination: z.string(),
        type: z.string().optional(),
        options: z.array(z.string()).nullish(),
      }),
    )
    .default([]),
})

/** Where the container had files and directories of its host mounted. */
export function parseSpecDump(text: string): readonly string[] {
  return parse('spec.dump', text, specSchema)
    .mounts.filter(({ type, options }) => type === 'bind' || options?.some((each) => /^r?bind$/.test(each)))
    .map(({ destination }) => destination)
}

function parse<Value>(name: string, text: string, schema: z.ZodType<Value>): Value {
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    throw invalidArgument(`its ${name} is not as CheckpointContainer writes it`)
  }
}

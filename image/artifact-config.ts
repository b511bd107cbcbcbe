import { artifactLayers } from './artifact-layers.ts'
import type { ParsedImageConfig } from './image-config.ts'
import { parseManifest } from './manifest.ts'

/**
 * An artifact's record holds its manifest where an image's has the config, as its own config is nothing that many do
 * not have too. Undefined for what is none.
 */
export function parseArtifact(blob: Buffer, json: unknown): ParsedImageConfig | undefined {
  if (typeof json !== 'object' || json === null || 'rootfs' in json || !('layers' in json)) return undefined
  const manifest = parseManifest(blob, '')
  if (manifest.kind !== 'artifact') return undefined
  return {
    config: {
      ...{ entrypoint: [], cmd: [], env: [], user: '', workingDirectory: '', stopSignal: '', volumes: [] },
    },
    diffIds: artifactLayers(manifest.blobs).map(({ diffId }) => diffId),
    platform: { os: '', architecture: '', variant: '' },
    artifactType: manifest.artifactType,
  }
}

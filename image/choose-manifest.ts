import { CriError } from '#lib/errors.ts'
import { type IndexEntry, type Manifest, parseManifest } from './manifest.ts'
import { describePlatform, describePlatforms, type Platform, suitability } from './platform.ts'
import type { RegistrySession } from './registry-session.ts'

export type ImageManifest = Extract<Manifest, { kind: 'image' }>

export interface ChosenManifest {
  readonly manifest: Exclude<Manifest, { kind: 'index' }>
  readonly manifestDigest: string
  /** As it came. */
  readonly content: Buffer
}

/** Through the index, where the digest is of one, to the manifest for this platform. */
export async function chooseManifest(
  session: RegistrySession,
  digest: string,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<ChosenManifest> {
  const top = await fetchManifest(session, digest, signal)
  if (top.manifest.kind !== 'index') return { ...top, manifest: top.manifest, manifestDigest: digest }
  const chosen = chooseEntry(top.manifest.entries, platforms)
  const { manifest, content } = await fetchManifest(session, chosen.digest, signal, chosen.mediaType)
  if (manifest.kind !== 'index') return { manifest, manifestDigest: chosen.digest, content }
  throw new CriError(
    'failed-precondition',
    `its index ${digest} names another index, ${chosen.digest}, for this platform`,
  )
}

async function fetchManifest(
  session: RegistrySession,
  digest: string,
  signal: AbortSignal,
  mediaType?: string,
): Promise<{ manifest: Manifest; content: Buffer }> {
  const { content, mediaType: answered } = await session.manifest(digest, signal)
  return { content, manifest: parseManifest(content, mediaType ?? answered) }
}

const MOST_SHOWN = 30

/** The best of those that are wanted; one that names no platform where none does fit: its config is looked at later. */
function chooseEntry(entries: readonly IndexEntry[], wanted: readonly Platform[]): IndexEntry {
  const suiting = entries
    .map((entry) => ({ entry, rank: entry.platform && suitability(entry.platform, wanted) }))
    .filter(({ rank }) => rank !== undefined)
    .toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
  const chosen = suiting[0]?.entry ?? entries.find(({ platform }) => platform === undefined)
  if (chosen !== undefined) return chosen
  const offered = new Set(entries.flatMap(({ platform }) => (platform ? [describePlatform(platform)] : [])))
  offered.delete('unknown/unknown') // attestations
  const more = offered.size > MOST_SHOWN ? ` and ${offered.size - MOST_SHOWN} more` : ''
  throw notWanted(wanted, `${[...offered].slice(0, MOST_SHOWN).join(', ') || 'nothing'}${more}`)
}

/** The caller puts the image's name before it. */
export const notWanted = (wanted: readonly Platform[], offered: string) =>
  new CriError('failed-precondition', `there is none for ${describePlatforms(wanted)}, only for ${offered}`)

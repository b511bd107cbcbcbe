import { invalidArgument } from '#lib/errors.ts'

/** What an image is built for (OCI image-spec, Image Index). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  /** '' where it does not matter. */
  readonly variant: string
}

const goArchitectures: { readonly [nodeArchitecture: string]: string } = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  loong64: 'loong64',
}

/** This host's, in Go's words. `nodeArchitecture` is process.arch. */
export function hostPlatform(nodeArchitecture: string = process.arch): Platform {
  const architecture = goArchitectures[nodeArchitecture] ?? nodeArchitecture
  return { os: 'linux', architecture, variant: variantOf(architecture) }
}

/** `os/architecture[/variant]`; throws invalid-argument. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...more] = text.split('/')
  if (os === '' || architecture === '' || variant === '' || more.length > 0) {
    throw invalidArgument(`"${text}" is not a platform: it must be as linux/arm64 or linux/arm/v7`)
  }
  return { os, architecture, variant: variant ?? variantOf(architecture) }
}

const variantOf = (architecture: string): string => (architecture === 'arm64' ? 'v8' : '')

/** What runs on a platform, best first: nothing of a higher level than any machine of the architecture has. */
const variantsOf: { readonly [architecture: string]: readonly string[] } = {
  amd64: ['', 'v1'],
  arm64: ['', 'v8'],
  arm: ['v7', '', 'v6', 'v5'],
}

const MOST_VARIANTS = 8

/** How well a platform suits those that are wanted, of which the first is best: 0 is best, undefined not at all. */
export function suitability(offered: Platform, wanted: readonly Platform[]): number | undefined {
  for (const [index, platform] of wanted.entries()) {
    const rank = suitabilityForOne(offered, platform)
    if (rank !== undefined) return index * MOST_VARIANTS + rank
  }
  return undefined
}

function suitabilityForOne(offered: Platform, wanted: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined
  if (offered.variant === wanted.variant) return 0
  const rank = (variantsOf[wanted.architecture] ?? ['']).indexOf(offered.variant)
  return rank === -1 ? undefined : rank + 1
}

/** One that says nothing is taken for the first that is wanted. */
export function filledIn(built: Platform, wanted: readonly Platform[]): Platform {
  const [first] = wanted
  return {
    ...built,
    os: built.os || (first?.os ?? ''),
    architecture: built.architecture || (first?.architecture ?? ''),
  }
}

export const describePlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter((part) => part !== '').join('/')

export const describePlatforms = (platforms: readonly Platform[]): string =>
  platforms.map(describePlatform).join(' or ')

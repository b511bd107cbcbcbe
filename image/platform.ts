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
  return { os: 'linux', architecture, variant: architecture === 'arm64' ? 'v8' : '' }
}

/** What runs on a host, best first: nothing of a higher level than any machine of the architecture has. */
const variantsOf: { readonly [architecture: string]: readonly string[] } = {
  amd64: ['', 'v1'],
  arm64: ['', 'v8'],
  arm: ['v7', '', 'v6', 'v5'],
}

/** How well a platform suits the host: 0 is best, undefined not at all. */
export function suitability(offered: Platform, host: Platform): number | undefined {
  if (offered.os !== host.os || offered.architecture !== host.architecture) return undefined
  const rank = (variantsOf[host.architecture] ?? ['']).indexOf(offered.variant)
  if (offered.variant === host.variant) return 0
  return rank === -1 ? undefined : rank + 1
}

export const describePlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter((part) => part !== '').join('/')

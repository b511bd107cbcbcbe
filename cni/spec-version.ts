/** The versions of the CNI specification that are spoken here, oldest first. */
export const specVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type SpecVersion = (typeof specVersions)[number]

/** The newest of them among `offered`; undefined where none is. */
export const newestSpecVersion = (offered: readonly string[]): SpecVersion | undefined =>
  specVersions.findLast((version) => offered.includes(version))

export const isAtLeast = (version: SpecVersion, least: SpecVersion): boolean =>
  specVersions.indexOf(version) >= specVersions.indexOf(least)

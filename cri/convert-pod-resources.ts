import type { LinuxContainerResources } from '#proto/gen/runtime/v1/api.ts'
import type { PodResources } from '#runtime/pod-sandbox/record.ts'
import { convertResources } from './convert-resources.ts'

/** Of a pod's config, or of their update; undefined when neither is given. `at` goes before the fields' names. */
export function convertPodResources(
  {
    overhead,
    resources,
  }: {
    readonly overhead: LinuxContainerResources | undefined
    readonly resources: LinuxContainerResources | undefined
  },
  at: string,
): PodResources | undefined {
  if (overhead === undefined && resources === undefined) return undefined
  return {
    overhead: overhead && convertResources(overhead, `${at}overhead`),
    containers: resources && convertResources(resources, `${at}resources`),
  }
}

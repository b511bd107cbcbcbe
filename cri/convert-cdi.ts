import { CDI_QUALIFIED_NAME } from '#lib/cdi-names.ts'
import { invalidArgument } from '#lib/errors.ts'
import type { ContainerConfig } from '#proto/gen/runtime/v1/api.ts'

/** What device plugins that do not know the field put into annotations instead: SPEC.md of the CDI. */
const ANNOTATION_PREFIX = 'cdi.k8s.io/'

/** The CDI devices of the field, then those of annotations, each once. Throws invalid-argument for what is no full name. */
export function convertCdiDevices({
  CDIDevices,
  annotations,
}: Pick<ContainerConfig, 'CDIDevices' | 'annotations'>): readonly string[] {
  const named = CDIDevices.map(({ name }, index) => [`CDI_devices[${index}].name`, name] as const)
  const annotated = Object.entries(annotations)
    .filter(([key]) => key.startsWith(ANNOTATION_PREFIX))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) => value.split(',').map((name) => [`annotation ${key}`, name.trim()] as const))
  for (const [field, name] of [...named, ...annotated]) {
    if (CDI_QUALIFIED_NAME.test(name)) continue
    throw invalidArgument(`${field} has "${name}": a CDI device is named vendor.com/class=device`)
  }
  return [...new Set([...named, ...annotated].map(([, name]) => name))]
}

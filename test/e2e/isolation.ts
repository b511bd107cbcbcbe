/**
 * The name that the cgroups of this run have in their paths. These tests leave their mark on the host they run on, and
 * see what others do there: hack/isolated gives them one of their own. Throws without it.
 */
export function isolation(): string {
  const name = process.env['CRI_TS_ISOLATED']
  if (name !== undefined && name !== '') return name
  throw new Error('run the end-to-end tests by `sudo hack/e2e`: they need namespaces of their own')
}

/** These tests leave their mark on the host they run on, and see what others do there: hack/isolated gives them one. */
export function requireIsolation(): void {
  if (process.env['CRI_TS_ISOLATED'] !== '1') {
    throw new Error('run the end-to-end tests by `sudo hack/e2e`: they need namespaces of their own')
  }
}

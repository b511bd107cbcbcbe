/** By its path under /proc/sys, what each namespace has of its own; anything else is the whole host's. */
const namespaced = [
  { namespace: 'ipc', paths: /^(kernel\/(shm[^/]*|msg[^/]*|sem)|fs\/mqueue\/[^/]+)$/ },
  { namespace: 'network', paths: /^net\/.+$/ },
] as const

/**
 * The path of a sysctl below /proc/sys; undefined for what is no name of one, or could leave that directory.
 * sysctl.d(5): if the first separator is a slash, dots are part of a name; else dots separate and slashes are dots.
 */
export function sysctlPathOf(name: string): string | undefined {
  const bySlash = /[./]/.exec(name)?.[0] === '/'
  const steps = bySlash ? name.split('/') : name.split('.').map((step) => step.replaceAll('/', '.'))
  return steps.some((step) => !/^[\w.:@-]+$/.test(step) || /^\.+$/.test(step)) ? undefined : steps.join('/')
}

/** The namespace whose processes see a sysctl of their own; undefined where it is the host's. */
export const namespaceOfSysctl = (path: string): 'ipc' | 'network' | undefined =>
  namespaced.find(({ paths }) => paths.test(path))?.namespace

import { invalidArgument } from '#lib/errors.ts'
import type { SandboxSpec, StringMap } from '#runtime/pod-sandbox/record.ts'

/** By its path under /proc/sys, what each namespace has of its own; anything else is the whole host's. */
const namespaced = [
  { namespace: 'ipc', paths: /^(kernel\/(shm[^/]*|msg[^/]*|sem)|fs\/mqueue\/[^/]+)$/ },
  { namespace: 'network', paths: /^net\/.+$/ },
] as const

/** Throws invalid-argument for a sysctl that is not the pod's own: it would change the host. */
export function convertSysctls(sysctls: StringMap, namespaces: SandboxSpec['namespaces']): StringMap {
  for (const [name, value] of Object.entries(sysctls)) {
    const path = pathOf(name)
    const owner = namespaced.find(({ paths }) => paths.test(path))?.namespace
    if (owner === undefined) {
      throw invalidArgument(
        `linux.sysctls: ${name} is not namespaced and would change the host: ` +
          'kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and net.* may be set',
      )
    }
    if (namespaces[owner] === 'node') {
      throw invalidArgument(
        `linux.sysctls: ${name} would change the host, whose ${owner} namespace the pod uses: leave it out`,
      )
    }
    if (/[\0\n]/.test(value))
      throw invalidArgument(`linux.sysctls: the value of ${name} has more than one line`)
  }
  return { ...sysctls }
}

/**
 * sysctl.d(5): if the first separator is a slash, dots are part of a name; else dots separate and slashes are dots.
 * Throws invalid-argument for a path that could leave /proc/sys.
 */
function pathOf(name: string): string {
  const bySlash = /[./]/.exec(name)?.[0] === '/'
  const steps = bySlash ? name.split('/') : name.split('.').map((step) => step.replaceAll('/', '.'))
  if (steps.some((step) => !/^[\w.:@-]+$/.test(step) || /^\.+$/.test(step))) {
    throw invalidArgument(`linux.sysctls: ${name} is no name of a sysctl`)
  }
  return steps.join('/')
}

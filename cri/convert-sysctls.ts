import { invalidArgument } from '#lib/errors.ts'
import { namespaceOfSysctl, sysctlPathOf } from '#lib/sysctl-names.ts'
import type { SandboxSpec, StringMap } from '#runtime/pod-sandbox/record.ts'

/** Throws invalid-argument for a sysctl that is not the pod's own: it would change the host. */
export function convertSysctls(sysctls: StringMap, namespaces: SandboxSpec['namespaces']): StringMap {
  for (const [name, value] of Object.entries(sysctls)) {
    const path = sysctlPathOf(name)
    if (path === undefined) throw invalidArgument(`linux.sysctls: ${name} is no name of a sysctl`)
    const owner = namespaceOfSysctl(path)
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

import { describe, test } from 'vitest'
import { specNames } from '#test/e2e/critest.ts'
import { useCritestRegistry } from '#test/e2e/critest-registry.ts'
import { describeCritest } from '#test/e2e/critest-specs.ts'
import { HANDLERS, useUncheckedDaemon } from '#test/e2e/host.ts'

/**
 * critest where there are cgroup v2 alone, systemd's cgroup driver, AppArmor and newer OCI runtimes. It takes long
 * there, so that only `hack/test --full` runs all of it, in parallel and in turn; else it runs what the host of the
 * end-to-end tests does not show, and a spec or more of every other group.
 */
const isFull = process.env['CRI_TS_FULL'] !== undefined
const handlers = HANDLERS.filter((handler) => handler === (process.env['CRI_TS_HANDLER'] ?? handler))
const NODES = 4
const timeoutMs = 50 * 60_000

/** Of other groups than these, the specs that are named in full. */
const SHOWN = [
  'AppArmor',
  'stats',
  'UserNamespaces',
  'SeccompProfilePath',
  'recursive readonly',
  'OOM',
  'rshared',
  'volume and device runtime should support starting container with volume \\[Conformance\\]',
  'should support stopping container',
  'should support execSync with timeout',
  'reopening container log',
  'StopPodSandbox should not return an error if already stopped',
  'simultaneous RemoveImage',
  'same image identifier across all APIs',
  'image with digest should be pulled',
  'a pod should support network',
  'port mapping with host port',
  'stopping PodSandbox',
  'sysctls should support safe',
  'return runtime conditions',
  'support HostPID',
  'support PodPID',
  'NoNewPrivs should not allow',
  'SupplementalGroupsPolicy=Strict',
  'Privileged is true',
  'dropping ALL capabilities',
  'stdin=true',
]
const focus = SHOWN.map((words) => `-ginkgo.focus=${words}`)

const registriesDir = useCritestRegistry()
const daemon = useUncheckedDaemon({ config: `[image]\nregistries_dir = "${registriesDir}"` })

for (const handler of handlers) {
  const flags = ['-runtime-handler', handler]
  const nodes = NODES
  if (isFull) {
    describeCritest(`${handler}: critest, one spec after the other:`, daemon, { flags, timeoutMs })
    describeCritest(`${handler}: critest, ${NODES} specs at a time:`, daemon, { flags, nodes, timeoutMs })
  } else {
    describeCritest(`${handler}: critest:`, daemon, { flags: [...flags, ...focus], nodes, timeoutMs })
    describe(`${handler}: critest:`, () => {
      const others = specNames([]).length - specNames(focus).length
      const reason = 'it takes long here, and the host runs them; hack/test --full runs them here, too'
      test(`the other ${others} specs`, ({ skip, task }) => {
        task.meta.skipReason = reason
        skip(reason)
      })
    })
  }
}

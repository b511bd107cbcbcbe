import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MonitorRequest } from '#runtime/monitor-port.ts'
import { prepareRestore } from './checkpoint-restore.ts'
import { bundleOf, type MonitorPaths } from './conmon.ts'
import { bundleConfig } from './oci-runtime.ts'

/** Makes a container's directory: the bundle of its OCI runtime, and where its cgroup is. */
export function writeBundle(
  paths: MonitorPaths,
  { id, cgroupsPath, ociSpec, restoreFrom }: MonitorRequest,
): void {
  const bundle = bundleOf(paths, id)
  mkdirSync(bundle, { recursive: true, mode: 0o700 })
  writeFileSync(join(paths.home(id), 'cgroup'), cgroupsPath)
  const annotations = restoreFrom === undefined ? {} : prepareRestore(paths.home(id))
  writeFileSync(join(bundle, 'config.json'), bundleConfig(ociSpec, annotations))
}

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'

const FIXTURE = new URL('../fixtures/busybox-image.ts', import.meta.url).pathname

/** The path of an OCI archive with busybox in it, made once for a run (/run is its own). */
export function busyboxImage(): string {
  const archive = '/run/cri-ts-e2e/busybox.tar'
  mkdirSync('/run/cri-ts-e2e', { recursive: true })
  if (!existsSync(archive)) execFileSync(process.execPath, [FIXTURE, archive])
  return archive
}

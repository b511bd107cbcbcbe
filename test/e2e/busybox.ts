import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'

/** The path of an archive with busybox in it, made once for a run (/run is its own). */
export function busyboxArchive(): string {
  const archive = '/run/cri-ts-e2e/busybox.tar'
  if (!existsSync(archive)) {
    mkdirSync('/run/cri-ts-e2e', { recursive: true })
    writeFileSync(archive, dockerArchive(busyboxImage(), ['busybox:latest']))
  }
  return archive
}

import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Daemon } from '#test/e2e/daemon.ts'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'

/** An image unlike the other tests': it has a file of its own, and a volume could be mounted of it. */
export const FIELDS_IMAGE = 'localhost/e2e/fields:latest'

/** What the requests name of the host; one place for all daemons, in the /run of the test. */
export const HOST = '/run/cri-ts-e2e/fields'
export const CDI_SPECS = join(HOST, 'cdi')
export const SECCOMP_PROFILE = join(HOST, 'seccomp.json')

/** The owner of a file in the mapped volume. */
const OWNER = 5

/** Lays out what the requests name, and imports the image. */
export async function prepareFields(daemon: Daemon): Promise<void> {
  for (const directory of ['data', 'slave', 'mapped', 'cdi', 'below'])
    mkdirSync(join(HOST, directory), { recursive: true })
  writeFileSync(join(HOST, 'data/file'), 'of the host')
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(HOST, 'below')])
  for (const [file, owner] of [
    ['first', OWNER],
    ['next', OWNER + 1],
  ] as const) {
    writeFileSync(join(HOST, 'mapped', file), '')
    chownSync(join(HOST, 'mapped', file), owner, owner)
  }
  const denied = { names: ['chmod', 'fchmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO' }
  writeFileSync(SECCOMP_PROFILE, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [denied] }))
  const devices = [{ name: 'one', containerEdits: { env: ['FROM_CDI=yes'] } }]
  writeFileSync(
    join(CDI_SPECS, 'fields.json'),
    JSON.stringify({ cdiVersion: '0.6.0', kind: 'example.com/fields', devices }),
  )
  const archive = join(daemon.directory, 'fields.tar')
  const files = [{ name: 'from/the/image', content: 'of the image' }]
  writeFileSync(archive, dockerArchive(busyboxImage({ files }), ['fields:latest']))
  await daemon.criTs('images', 'import', '--name', FIELDS_IMAGE, archive)
}

export function removeFields(): void {
  execFileSync('umount', [join(HOST, 'below')])
  rmSync(HOST, { recursive: true })
}

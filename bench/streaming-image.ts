import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { streamClientPath } from '#test/e2e/stream-client.ts'
import { until } from '#test/e2e/until.ts'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'
import { PAUSE_IMAGE, type Runtime } from './runtimes.ts'

/** Busybox with stream-client in it, which serves the loads. */
export const IMAGE = 'localhost/bench/streaming:latest'

const THERE_WITHIN_MS = 30_000

/** Imports the image of the loads, and a pause image for who needs one. */
export async function importStreamingImage(runtime: Runtime): Promise<void> {
  const { app, pause } = writeImages(runtime.directory)
  await runtime.importImages(runtime.name === 'containerd' ? [app, pause] : [app])
  const isThere = async (): Promise<boolean> =>
    (await runtime.client.call('ImageStatus', { image: { image: IMAGE } }))['image'] !== null
  await until(`${runtime.name} has its image`, isThere, THERE_WITHIN_MS)
}

function writeImages(directory: string): { readonly app: string; readonly pause: string } {
  const client = { name: 'bin/stream-client', mode: 0o755, content: readFileSync(streamClientPath()) }
  const paths = { app: join(directory, 'app.tar'), pause: join(directory, 'pause.tar') }
  writeFileSync(paths.app, dockerArchive(busyboxImage({ files: [client] }), [IMAGE]))
  const pause = busyboxImage({ config: { Cmd: ['sleep', '2147483647'], Env: ['PATH=/bin'] } })
  writeFileSync(paths.pause, dockerArchive(pause, [PAUSE_IMAGE]))
  return paths
}

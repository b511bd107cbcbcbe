import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { syncfs } from './libc.ts'

/** All that was written to the file system of a directory, whoever wrote it. */
export async function syncFilesystem(directory: string): Promise<void> {
  const fd = openSync(directory, 'r')
  try {
    await syncfs(fd)
  } finally {
    closeSync(fd)
  }
}

/** The directory's own entries. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory)
  await handle.sync()
}

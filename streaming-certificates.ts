import { readFileSync, statSync } from 'node:fs'
import type { Certificates } from '#cri/streaming/server.ts'
import { CriError } from '#lib/errors.ts'

/** Reads both files again when either has changed since; throws failed-precondition by name for one that can't be read. */
export function certificateFiles(certFile: string, keyFile: string): Certificates {
  let known: ReturnType<Certificates> | undefined
  let state = ''
  return () => {
    const now = [certFile, keyFile].map(stateOf).join()
    if (known === undefined || now !== state) {
      known = { cert: read(certFile, 'streaming.tls_cert'), key: read(keyFile, 'streaming.tls_key') }
      state = now
    }
    return known
  }
}

function stateOf(file: string): string {
  const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {}
  return `${mtimeMs} ${size} ${ino}`
}

function read(file: string, key: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `${key}: ${file} can't be read: give a PEM file that root may read`,
      {
        cause,
      },
    )
  }
}

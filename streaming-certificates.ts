import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Certificates } from '#cri/streaming/server.ts'
import { CriError } from '#lib/errors.ts'

/** Reads both files again when either has changed since; throws failed-precondition by name for one that can't be read. */
export function certificateFiles(certFile: string, keyFile: string): Certificates {
  let known: ReturnType<Certificates> | undefined
  let state = ''
  return () => {
    const now = [certFile, keyFile].map(stateOf).join()
    if (known === undefined || now !== state) {
      const read = {
        cert: contentOf(certFile, 'streaming.tls_cert'),
        key: contentOf(keyFile, 'streaming.tls_key'),
      }
      refuseUnpaired(read, certFile, keyFile)
      known = read
      state = now
    }
    return known
  }
}

function stateOf(file: string): string {
  const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {}
  return `${mtimeMs} ${size} ${ino}`
}

function refuseUnpaired(pair: ReturnType<Certificates>, certFile: string, keyFile: string): void {
  try {
    createSecureContext({ ...pair })
  } catch (cause) {
    const message = `streaming.tls_cert ${certFile} and streaming.tls_key ${keyFile} are no certificate in PEM with its own key: give both of one pair`
    throw new CriError('failed-precondition', message, { cause })
  }
}

function contentOf(file: string, key: string): Buffer {
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

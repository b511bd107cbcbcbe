import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type PeerCertificate, type SecureVersion } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openWebSocket, streamingLab } from '#cri/streaming/streaming-lab.ts'
import { certificateFiles } from '../../streaming-certificates.ts'
import { makeCertificates, type TestCertificates } from './registry-certificates.ts'

let directory: string
let certificates: TestCertificates
let files: { readonly cert: string; readonly key: string }
beforeEach(() => {
  directory = mkdtempSync('/run/cri-ts-tls-')
  certificates = makeCertificates(directory)
  files = { cert: join(directory, 'streaming.crt'), key: join(directory, 'streaming.key') }
  install(certificates.server)
})
afterEach(() => rmSync(directory, { recursive: true }))

function install({ certFile, keyFile }: TestCertificates['server']): void {
  copyFileSync(certFile, files.cert)
  copyFileSync(keyFile, files.key)
}

const tls = (minVersion: SecureVersion = 'TLSv1.2') => ({
  certificates: certificateFiles(files.cert, files.key),
  minVersion,
})

/** What a client sees of the server that is asked for nothing. */
function handshake(url: string, maxVersion: SecureVersion = 'TLSv1.3'): Promise<PeerCertificate> {
  const { hostname: host, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, maxVersion }, () => {
      resolve(socket.getPeerCertificate())
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

test('with a certificate the URL is https, and a client that trusts it is served', async () => {
  await using lab = await streamingLab({ tls: tls(), exec: async () => 5 })
  expect(lab.execUrl()).toMatch(/^https:/)
  const ca = readFileSync(certificates.caFile)
  const client = await openWebSocket(lab.execUrl(), 'v4.channel.k8s.io', { ca })
  await client.closed
  expect(client.received(3)).toContain('"message":"5"')
  await expect(openWebSocket(lab.execUrl(), 'v4.channel.k8s.io')).rejects.toThrow(/certificate/)
})

test('another certificate serves the next connection; one that is none leaves the old one in use', async () => {
  await using lab = await streamingLab({ tls: tls() })
  const url = lab.execUrl()
  expect((await handshake(url)).subject.CN).toBe('server')
  install(certificates.client)
  expect((await handshake(url)).subject.CN).toBe('client')
  writeFileSync(files.cert, 'half of a fi')
  expect((await handshake(url)).subject.CN).toBe('client')
  expect(lab.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', message: expect.stringContaining('the old one is used') }),
  )
  rmSync(files.key)
  expect((await handshake(url)).subject.CN).toBe('client')
  install(certificates.server)
  expect((await handshake(url)).subject.CN).toBe('server')
})

test('older versions of TLS than the least one are refused', async () => {
  await using lab = await streamingLab({ tls: tls('TLSv1.3') })
  await expect(handshake(lab.execUrl(), 'TLSv1.2')).rejects.toThrow(/protocol version/i)
})

test('a certificate with the key of another is refused by both names', async () => {
  copyFileSync(certificates.client.keyFile, files.key)
  await expect(streamingLab({ tls: tls() })).rejects.toThrow(
    /streaming\.tls_cert .*streaming\.crt and streaming\.tls_key .*streaming\.key .*give both of one pair/,
  )
})

test('a certificate that is not there is named with its key of the configuration', async () => {
  rmSync(files.cert)
  await expect(streamingLab({ tls: tls() })).rejects.toThrow(
    /streaming\.tls_cert: .*streaming\.crt can't be read/,
  )
})

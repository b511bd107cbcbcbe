import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Made by openssl for one test: an authority, a server's pair for this machine's loopback, and a client's pair. */
export interface TestCertificates {
  readonly caFile: string
  readonly server: { readonly certFile: string; readonly keyFile: string }
  readonly client: { readonly certFile: string; readonly keyFile: string }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function makeCertificates(directory: string): TestCertificates {
  const at = (name: string): string => join(directory, name)
  const caFile = at('ca.crt')
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    caFile,
    '-subj',
    '/CN=cri-ts test',
    '-days',
    '2',
  )
  const signed = (name: string, extensions: string) => {
    const [certFile, keyFile, request, extensionFile] = ['crt', 'key', 'csr', 'ext'].map((kind) =>
      at(`${name}.${kind}`),
    ) as [string, string, string, string]
    openssl('req', ...newKey, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`)
    writeFileSync(extensionFile, extensions)
    const authority = ['-CA', caFile, '-CAkey', at('ca.key'), '-CAcreateserial']
    openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...authority,
      '-out',
      certFile,
      '-days',
      '2',
      '-extfile',
      extensionFile,
    )
    return { certFile, keyFile }
  }
  return {
    caFile,
    server: signed('server', 'subjectAltName = IP:127.0.0.1, DNS:registry.test'),
    client: signed('client', 'extendedKeyUsage = clientAuth'),
  }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Certified, certifyUser, makeAuthority, promised } from '#test/fixtures/fulcio.ts'
import { makeSigningKey, type SigningKey, signatureOf, simpleSigning } from '#test/fixtures/sign-image.ts'
import { type SignatureTrust, verifySignature } from './signature-verify.ts'

const digest = `sha256:${'1'.repeat(64)}`
const payload = simpleSigning(digest, 'registry.example/app')
const now = Math.floor(Date.now() / 1000)
const log = makeSigningKey()

let directory: string
let root: Certified
let intermediate: Certified
let user: Certified
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-fulcio-'))
  root = makeAuthority(directory, 'root')
  intermediate = makeAuthority(directory, 'intermediate', 'root')
  user = certifyUser(directory, 'root')
})
afterAll(() => rmSync(directory, { recursive: true }))

const keyOf = ({ publicPem }: SigningKey) => createPublicKey(publicPem)
const byFulcio = (changes: object = {}): SignatureTrust => ({
  keys: [],
  rekorKeys: [keyOf(log)],
  fulcio: {
    caCertificates: [root.pem],
    oidcIssuer: 'https://oidc.example',
    subjectEmail: 'dev@example.com',
    ...changes,
  },
})

interface Signed {
  readonly by?: Certified
  readonly chain?: string
  readonly atSeconds?: number
  readonly signedPayload?: Buffer
  readonly loggedPem?: string
  readonly loggedBy?: SigningKey
  readonly without?: string
}

function verify(trust: SignatureTrust, signed: Signed = {}) {
  const { by = user, chain = root.pem, atSeconds = now + 60, loggedBy = log } = signed
  const signature = signatureOf(signed.signedPayload ?? payload, by.key)
  const entry = { payload, signature, pem: signed.loggedPem ?? by.pem, log: loggedBy, atSeconds }
  const annotations: Record<string, string> = {
    'dev.cosignproject.cosign/signature': signature,
    'dev.sigstore.cosign/certificate': by.pem,
    'dev.sigstore.cosign/chain': chain,
    'dev.sigstore.cosign/bundle': promised(entry),
  }
  Reflect.deleteProperty(annotations, signed.without ?? '')
  return verifySignature(
    { kind: 'attached', from: digest, payload: payload.toString('base64'), annotations },
    trust,
  )
}

describe('a signature by a certificate', () => {
  test('of the authority, that a log has, is good', async () => {
    expect(await verify(byFulcio())).toEqual({ digest, dockerReference: 'registry.example/app' })
  })

  test('of an intermediate authority is good, if the chain leads to the root', async () => {
    const by = certifyUser(directory, 'intermediate')
    expect(await verify(byFulcio(), { by, chain: `${intermediate.pem}${root.pem}` })).toMatchObject({
      digest,
    })
    await expect(verify(byFulcio(), { by, chain: '' })).rejects.toThrow(/certificate/)
  })

  test('of an authority that comes with it is none, whatever its chain says', async () => {
    const own = makeAuthority(directory, 'own')
    const by = certifyUser(directory, 'own')
    await expect(verify(byFulcio(), { by, chain: own.pem })).rejects.toThrow(/certificate/)
  })

  test.for<[why: string, trust: object, signed: () => Signed, message: RegExp]>([
    [
      'of another user',
      { subjectEmail: 'boss@example.com' },
      () => ({}),
      /is of dev@example.com, not of boss@/,
    ],
    ['of a user whose address ends like it', { subjectEmail: 'ev@example.com' }, () => ({}), /not of ev@/],
    [
      'of another issuer',
      { oidcIssuer: 'https://oidc' },
      () => ({}),
      /a user of https:\/\/oidc.example, not of/,
    ],
    ['that had expired', {}, () => ({ atSeconds: now + 3 * 86_400 }), /certificate/],
    ['that was not valid yet', {}, () => ({ atSeconds: now - 86_400 }), /certificate/],
    [
      'that is for something else',
      {},
      () => ({ by: certifyUser(directory, 'root', { usage: 'serverAuth' }) }),
      /not for signing code/,
    ],
    [
      'without a certificate',
      {},
      () => ({ without: 'dev.sigstore.cosign/certificate' }),
      /no annotation dev.sigstore.cosign\/certificate/,
    ],
    ['that no log has', {}, () => ({ without: 'dev.sigstore.cosign/bundle' }), /no log vouches for it/],
    [
      'that another log has',
      {},
      () => ({ loggedBy: makeSigningKey() }),
      /signed entry timestamp|verif|tlog|inclusion/i,
    ],
    [
      'that is logged with another certificate',
      {},
      () => ({ loggedPem: root.pem }),
      /the log has it with another key/,
    ],
    ['of another text', {}, () => ({ signedPayload: Buffer.from('other') }), /signature verification failed/],
  ])('%s is none', async ([, trust, signed, message]) => {
    await expect(verify(byFulcio(trust), signed())).rejects.toThrow(message)
  })
})

describe('a signature by a key that a log has to have', () => {
  const key = makeSigningKey()
  const by = { pem: key.publicPem, key }
  const trust = (): SignatureTrust => ({
    keys: [keyOf(makeSigningKey()), keyOf(key)],
    fulcio: undefined,
    rekorKeys: [keyOf(log)],
  })

  test('is good when it has', async () => {
    expect(await verify(trust(), { by })).toMatchObject({ digest })
  })

  test.for<[why: string, signed: Signed, message: RegExp]>([
    ['in no log', { without: 'dev.sigstore.cosign/bundle' }, /no log vouches for it/],
    ['in another log', { loggedBy: makeSigningKey() }, /inclusion|verif/i],
    ['of another text', { signedPayload: Buffer.from('other') }, /signature verification failed/],
    ['logged with another key', { loggedPem: makeSigningKey().publicPem }, /the log has it with another key/],
  ])('%s is none', async ([, signed, message]) => {
    await expect(verify(trust(), { by, ...signed })).rejects.toThrow(message)
  })
})

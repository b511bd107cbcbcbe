import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { errnoOf } from '#lib/errors.ts'

/** Where a policy has key material: files, or the same in base64, by the keys of a requirement. */
export interface MaterialSource {
  /** The key, for messages. */
  readonly at: string
  readonly paths: readonly string[]
  readonly datas: readonly string[]
}

const publicKeyForm = /^-----BEGIN (?:RSA )?PUBLIC KEY-----/

/** Reads the public keys (PEM) of a policy. Throws Error that names the key or file, and what is wrong with it. */
export async function readPublicKeys(source: MaterialSource): Promise<readonly KeyObject[]> {
  const pems = await readMaterial(source)
  return pems.map(({ what, pem }) => {
    if (!publicKeyForm.test(pem.trim())) throw new Error(`${what} is no public key in PEM`)
    try {
      return createPublicKey(pem)
    } catch {
      throw new Error(`${what} is no public key in PEM`)
    }
  })
}

/** The texts that a policy names, each with how to call it. */
export async function readMaterial({
  at,
  paths,
  datas,
}: MaterialSource): Promise<readonly { what: string; pem: string }[]> {
  const files = paths.map(async (path) => {
    try {
      return { what: `${at} ${path}`, pem: await readFile(path, 'utf8') }
    } catch (cause) {
      throw new Error(`${at} ${path} cannot be read: ${errnoOf(cause) ?? String(cause)}`)
    }
  })
  const inline = datas.map((data) => ({ what: at, pem: Buffer.from(data, 'base64').toString() }))
  return [...(await Promise.all(files)), ...inline]
}

/** Whether the key made the signature, with SHA-256, as sigstore's clients do; an Ed25519 key hashes by itself. */
export function isSignedBy(key: KeyObject, payload: Buffer, signature: Buffer): boolean {
  try {
    return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', payload, key, signature)
  } catch {
    return false // A key of a kind that does not sign.
  }
}

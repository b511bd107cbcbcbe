import { mkdir, rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FakeImage } from '#test/fakes/fake-registry.ts'
import { attachSignatures, type PolicyLab, policyLab } from '#test/fakes/policy-lab.ts'
import { makeSigningKey } from '#test/fixtures/sign-image.ts'

const ANY = { default: [{ type: 'insecureAcceptAnything' }] }
const NONE = { default: [{ type: 'reject' }] }

let lab: PolicyLab
let image: FakeImage
let name: string
beforeEach(async () => {
  lab = await policyLab()
  image = lab.registry.addImage('app', 'v1')
  name = `${lab.registry.host}/app:v1`
})
afterEach(() => lab[Symbol.asyncDispose]())

const sign = (key = lab.key) => attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key }])
const refused = (message: RegExp) => ({
  kind: 'unverified',
  message: expect.stringMatching(message) as string,
})

describe('an image that was pulled with a signature', () => {
  beforeEach(async () => {
    await lab.requireKey()
    sign()
    await lab.pull('app:v1')
    lab.registry.requests.length = 0
  })

  test.for(['by tag', 'by digest', 'by id', 'by what the pod says'])(
    'may be used without the network, %s',
    async (how) => {
      const digest = `${lab.registry.host}/app@${image.manifestDigest}`
      if (how === 'by tag') await lab.admit(name)
      if (how === 'by digest') await lab.admit(digest)
      if (how === 'by id') await lab.admit(image.id)
      if (how === 'by what the pod says') await lab.admit(image.id, { userSpecifiedImage: name })
      expect(lab.registry.requests).toEqual([])
    },
  )

  test('is judged anew when the policy has changed, and that is recorded', async () => {
    const before = lab.records.signatures(image.id)[0]?.policyDigest
    await lab.requireKey({ signedIdentity: { type: 'exactRepository', dockerRepository: name } })
    await lab.admit(image.id)
    const after = lab.records.signatures(image.id)
    expect(after).toHaveLength(1)
    expect(after[0]).toMatchObject({
      policyFile: lab.policyFile,
      policyDigest: expect.stringMatching(/^sha256:/),
    })
    expect(after[0]?.policyDigest).not.toBe(before)
    expect(lab.registry.requests).toEqual([])
  })

  test('may be used when it was signed anew for another policy, and is judged by what is here without the network', async () => {
    const other = makeSigningKey()
    await lab.requireKey({ keyPath: undefined, keyData: Buffer.from(other.publicPem).toString('base64') })
    let isDown = true
    lab.registry.misbehave(/./, ({ socket }, answer) => void (isDown ? socket?.destroy() : answer()), 100)
    sign(other)
    await expect(lab.admit(image.id)).rejects.toMatchObject(refused(/no key of the policy made it/))
    isDown = false
    await lab.admit(image.id)
    isDown = true
    await lab.admit(image.id)
  })

  test('is refused when the policy was tightened, and the rule is named', async () => {
    const other = Buffer.from(makeSigningKey().publicPem).toString('base64')
    await lab.requireKey({ keyPath: undefined, keyData: other })
    await expect(lab.admit(image.id)).rejects.toMatchObject(
      refused(
        /^SignatureValidationFailed: .*app:v1 is refused by .*policy.json, transports.docker\["127.*"\]\[0\] \(sigstoreSigned\): signature sha256:\w+: no key of the policy made it$/,
      ),
    )
    await lab.writePolicy(NONE)
    await expect(lab.admit(name)).rejects.toMatchObject(refused(/default\[0\] \(reject\)/))
  })
})

describe('an image with a signature, and the policy that applies to it', () => {
  beforeEach(async () => {
    await lab.requireKey()
    sign()
    await lab.pull('app:v1')
  })

  test('is that of the namespace, if that has one', async () => {
    await lab.writePolicy(NONE, 'locked')
    await lab.admit(name, { namespace: 'free' })
    await expect(lab.admit(name, { namespace: 'locked' })).rejects.toMatchObject(
      refused(/policies\/locked.json, default\[0\]/),
    )
    await lab.writePolicy(NONE)
    await lab.writePolicy(ANY, 'free')
    await lab.admit(name, { namespace: 'free' })
    await expect(lab.admit(name)).rejects.toMatchObject(refused(/policy.json, default\[0\]/))
  })

  test('refuses it while it cannot be read', async () => {
    await lab.writePolicy('{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}')
    await expect(lab.admit(name)).rejects.toMatchObject(
      refused(/policy.json is no valid JSON: .*"default" stands twice/),
    )
    await rm(lab.policyFile)
    await expect(lab.admit(name)).rejects.toMatchObject(
      refused(/policy.json is not there: .*image.signature_policy/),
    )
    await mkdir(lab.policyFile)
    await expect(lab.admit(name)).rejects.toMatchObject(refused(/policy.json cannot be read: EISDIR/))
  })
})

describe('an image that was pulled when no signature was wanted', () => {
  beforeEach(async () => {
    await lab.writePolicy(ANY)
    await lab.pull('app:v1')
    await lab.requireKey()
  })

  test('gets its signature fetched when one is wanted, once', async () => {
    sign()
    await lab.admit(image.id)
    await lab.admit(image.id)
    expect(lab.fetched).toEqual([`${lab.registry.host}/app@${image.manifestDigest}`])
  })

  test('is refused when there is none', async () => {
    await expect(lab.admit(image.id)).rejects.toMatchObject(refused(/holds no signature of sha256/))
  })

  test('is refused when it cannot be fetched, and may be used when it can', async () => {
    sign()
    let isDown = true
    lab.registry.misbehave(/./, ({ socket }, answer) => void (isDown ? socket?.destroy() : answer()), 100)
    await expect(lab.admit(image.id)).rejects.toMatchObject(
      refused(
        /was pulled when .*policy.json wanted no signature of it, and none can be fetched now: pull .*127/,
      ),
    )
    isDown = false
    await lab.admit(image.id)
  })
})

describe('an image of several names', () => {
  const second = 'other:v2'
  beforeEach(async () => {
    await lab.writePolicy(ANY)
    lab.registry.addImage('other', 'v2')
    await lab.pull('app:v1')
    await lab.pull(second)
    const docker = {
      [`${lab.registry.host}/app`]: [{ type: 'reject' }],
      [`${lab.registry.host}/other`]: [{ type: 'insecureAcceptAnything' }],
    }
    await lab.writePolicy({ ...NONE, transports: { docker } })
  })

  test('is judged by the one that the pod says', async () => {
    await lab.admit(image.id, { userSpecifiedImage: `${lab.registry.host}/${second}` })
    await expect(lab.admit(image.id, { userSpecifiedImage: name })).rejects.toMatchObject(
      refused(/app:v1 is refused/),
    )
  })

  test('is judged by what the pod says, also where that is none of them', async () => {
    const said = `${lab.registry.host}/app:2`
    await expect(lab.admit(image.id, { userSpecifiedImage: said })).rejects.toMatchObject(
      refused(/app:2 is refused by .*\[0\] \(reject\)/),
    )
    await lab.admit(image.id, { userSpecifiedImage: `${lab.registry.host}/other:3` })
  })

  test.for(['third:1', `app@sha256:${'1'.repeat(64)}`])(
    'is refused as what it is not, where that needs a signature: %s',
    async (other) => {
      await lab.requireKey()
      sign()
      const said = `${lab.registry.host}/${other}`
      await expect(lab.admit(image.id, { userSpecifiedImage: said })).rejects.toMatchObject(
        refused(
          /(third:1|app@sha256:1+) needs a signature by .*, but no digest of the image is known there: pull it by that name$/,
        ),
      )
    },
  )

  test('has to be accepted under each full name that a short one may stand for', async () => {
    const [locked, free] = [name.replace('v1', '2'), `${lab.registry.host}/other:3`]
    const namesOf: string[] = [free, locked]
    lab.store.localNames = () => namesOf
    await expect(lab.admit(image.id, { userSpecifiedImage: 'short' })).rejects.toMatchObject(
      refused(/app:2 is refused/),
    )
    namesOf.pop()
    await lab.admit(image.id, { userSpecifiedImage: 'short' })
  })

  test('may be used by its id under any that is accepted', async () => {
    await lab.admit(image.id)
    await lab.admit(image.id.slice(7, 20))
  })
})

test('an image from an archive is judged by its name, and has no signature that could be looked for', async () => {
  const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] } }))
  const source = { config, manifestDigest: undefined, layers: [], digests: [] }
  const { signal } = new AbortController()
  const id = await lab.store.add({ ...source, tags: [name] }, signal)
  await lab.writePolicy(ANY)
  await lab.admit(id)
  await lab.requireKey()
  await expect(lab.admit(id)).rejects.toMatchObject(
    refused(/v1 needs a signature by .*, but no digest of the image is known there: pull it by that name$/),
  )
})

test('an image without a name is judged by what stands for all', async () => {
  const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] } }))
  const source = { config, manifestDigest: undefined, layers: [], digests: [], tags: [] }
  const id = await lab.store.add(source, new AbortController().signal)
  await lab.writePolicy(ANY)
  await lab.admit(id)
  await lab.requireKey()
  await expect(lab.admit(id)).rejects.toMatchObject(
    refused(/an image without a name is refused by .*default\[0\] \(reject\)/),
  )
})

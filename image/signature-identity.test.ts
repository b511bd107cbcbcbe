import { expect, test } from 'vitest'
import type { SignedIdentity } from './policy-schema.ts'
import { parseReference } from './reference.ts'
import { identityMismatch } from './signature-identity.ts'

const digest = `sha256:${'0'.repeat(64)}`
const app = 'r.example/ns/app'
const exact: SignedIdentity = { type: 'matchExact' }
const repoDigest: SignedIdentity = { type: 'matchRepoDigestOrExact' }
const repository: SignedIdentity = { type: 'matchRepository' }
const remap: SignedIdentity = {
  type: 'remapIdentity',
  prefix: 'r.example/ns',
  signedPrefix: 'origin.example/pub',
}

test.for<[rule: SignedIdentity, intended: string, claimed: string, matches: boolean]>([
  [exact, `${app}:v1`, `${app}:v1`, true],
  [exact, `${app}:v1`, `${app}:v2`, false],
  [exact, `${app}:v1`, app, false],
  [exact, `${app}@${digest}`, `${app}:v1`, false],
  [exact, 'busybox', 'docker.io/library/busybox:latest', true],
  [repoDigest, `${app}:v1`, `${app}:v1`, true],
  [repoDigest, `${app}:v1`, app, false],
  [repoDigest, `${app}@${digest}`, `${app}:v9`, true],
  [repoDigest, `${app}@${digest}`, app, false],
  [repoDigest, `${app}@${digest}`, 'r.example/ns/other:v9', false],
  [repository, `${app}:v1`, app, true],
  [repository, `${app}:v1`, `${app}:v7`, true],
  [repository, `${app}:v1`, `${app}lication`, false],
  [repository, `${app}:v1`, `${app}:v1@${digest}`, true],
  [exact, `${app}:v1`, `${app}:v1@${digest}`, false],
  [{ type: 'exactReference', dockerReference: 'o.example/x:v1' }, `${app}:v1`, 'o.example/x:v1', true],
  [{ type: 'exactReference', dockerReference: 'o.example/x:v1' }, `${app}:v1`, `${app}:v1`, false],
  [{ type: 'exactRepository', dockerRepository: 'o.example/x' }, `${app}:v1`, 'o.example/x', true],
  [{ type: 'exactRepository', dockerRepository: 'o.example/x' }, `${app}:v1`, app, false],
  [remap, `${app}:v1`, 'origin.example/pub/app:v1', true],
  [remap, `${app}:v1`, `${app}:v1`, false],
  [remap, 'r.example/nsx/app:v1', 'origin.example/pubx/app:v1', false],
  [remap, 'r.example/nsx/app:v1', 'r.example/nsx/app:v1', true],
  [remap, `${app}@${digest}`, 'origin.example/pub/app:v3', true],
  [repository, `${app}:v1`, '', false],
  [repository, `${app}:v1`, 'UPPER/case', false],
])('%j: %s with a signature for %s: %s', ([rule, intended, claimed, matches]) => {
  expect(identityMismatch(rule, parseReference(intended), claimed) === undefined).toBe(matches)
})

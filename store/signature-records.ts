import type { SignatureRecords } from '#image/signature-records.ts'
import type { Run } from './statements.ts'

export const signaturesTable = `CREATE TABLE signatures (image TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
     name TEXT NOT NULL, evidence TEXT NOT NULL, policy_file TEXT NOT NULL, policy_digest TEXT NOT NULL,
     verified_at_ns TEXT NOT NULL, PRIMARY KEY (image, name)) STRICT`

export const signaturesIn = (run: Run): SignatureRecords => ({
  signatures: (imageId) =>
    run.all('SELECT * FROM signatures WHERE image = ? ORDER BY name', imageId).map((row) => ({
      name: String(row['name']),
      evidence: String(row['evidence']),
      policyFile: String(row['policy_file']),
      policyDigest: String(row['policy_digest']),
      verifiedAtNs: String(row['verified_at_ns']),
    })),

  putSignatures: (imageId, { name, evidence, policyFile, policyDigest, verifiedAtNs }) =>
    run.write(
      `INSERT OR REPLACE INTO signatures (image, name, evidence, policy_file, policy_digest, verified_at_ns)
       VALUES (?, ?, ?, ?, ?, ?)`,
      imageId,
      name,
      evidence,
      policyFile,
      policyDigest,
      verifiedAtNs,
    ),
})

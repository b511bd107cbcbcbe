import type { SignatureRecords } from '#image/signature-records.ts'
import type { Run } from './statements.ts'

export const signaturesTable = `CREATE TABLE signatures (image TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
     name TEXT NOT NULL, evidence TEXT NOT NULL, policy_file TEXT NOT NULL, policy_digest TEXT NOT NULL,
     verified_at_ns TEXT NOT NULL, PRIMARY KEY (image, name)) STRICT`

/** Images of additional stores are in no table here, but what is found of theirs is kept here: without a foreign key. */
export const signaturesOfAnyStore = `CREATE TABLE kept_signatures (image TEXT NOT NULL, name TEXT NOT NULL,
     evidence TEXT NOT NULL, policy_file TEXT NOT NULL, policy_digest TEXT NOT NULL, verified_at_ns TEXT NOT NULL,
     PRIMARY KEY (image, name)) STRICT;
   INSERT INTO kept_signatures SELECT * FROM signatures;
   DROP TABLE signatures;
   CREATE TRIGGER signatures_go_with_images AFTER DELETE ON images
     BEGIN DELETE FROM kept_signatures WHERE image = OLD.id; END`

export const signaturesIn = (run: Run): SignatureRecords => ({
  signatures: (imageId) =>
    run.all('SELECT * FROM kept_signatures WHERE image = ? ORDER BY name', imageId).map((row) => ({
      name: String(row['name']),
      evidence: String(row['evidence']),
      policyFile: String(row['policy_file']),
      policyDigest: String(row['policy_digest']),
      verifiedAtNs: String(row['verified_at_ns']),
    })),

  putSignatures: (imageId, { name, evidence, policyFile, policyDigest, verifiedAtNs }) =>
    run.write(
      `INSERT OR REPLACE INTO kept_signatures (image, name, evidence, policy_file, policy_digest, verified_at_ns)
       VALUES (?, ?, ?, ?, ?, ?)`,
      imageId,
      name,
      evidence,
      policyFile,
      policyDigest,
      verifiedAtNs,
    ),
})

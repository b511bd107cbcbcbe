/** What was found of signatures beside an image, kept as long as the image is. */
export interface SignatureRecords {
  signatures(imageId: string): readonly StoredSignatures[]
  /** In place of what was kept under the name before. */
  putSignatures(imageId: string, stored: StoredSignatures): void
}

export interface StoredSignatures {
  /** `NAME@sha256:…`: where it was found. */
  readonly name: string
  /** A SignatureEvidence, as JSON. */
  readonly evidence: string
  /** By which policy it was found good last, and when. */
  readonly policyFile: string
  /** Of the policy's file. */
  readonly policyDigest: string
  /** Nanoseconds since 1970, in decimal. */
  readonly verifiedAtNs: string
}

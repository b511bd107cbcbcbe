import { CriError } from '#lib/errors.ts'

/** What the message begins with, for kubelet to know it by (cri-api, ErrSignatureValidationFailed). */
const REFUSED = 'SignatureValidationFailed'

/** An image that may not be used, or of which that cannot be said. */
export const refusal = (why: string): CriError => new CriError('unverified', `${REFUSED}: ${why}`)

import { CriError, invalidArgument } from '#lib/errors.ts'
import { parseQuantity } from '#lib/quantity.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'

/** Ours, and what pods that were written for CRI-O say it with. */
const ANNOTATIONS = ['shm-size.cri-ts.io', 'shm-size.crio.io', 'io.kubernetes.cri-o.ShmSize']

/** The size of the pod's /dev/shm, where an annotation says one (`128Mi`). Throws invalid-argument. */
export function convertShmSize(annotations: StringMap): number | undefined {
  const name = ANNOTATIONS.find((each) => Object.hasOwn(annotations, each))
  if (name === undefined) return undefined
  const field = `annotations[${name}]`
  const bytes = quantity(annotations[name] ?? '', field)
  if (bytes > 0n && bytes <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(bytes)
  throw invalidArgument(`${field} is ${annotations[name]}: a size of /dev/shm is above 0, such as 128Mi`)
}

function quantity(text: string, field: string): bigint {
  try {
    return parseQuantity(text)
  } catch (error) {
    if (!(error instanceof CriError)) throw error
    throw invalidArgument(`${field}: ${error.message}`)
  }
}

import type { ErrorKind } from '#lib/errors.ts'

/** Between checkpoint-archives.ts and checkpoint.worker.ts: one request for each worker. */
export type CheckpointTask =
  /** Tells what a container has written: NUL-separated names in `listFile`, and what it has deleted. */
  | {
      readonly task: 'scan'
      readonly upper: string
      readonly lowers: readonly string[]
      readonly listFile: string
    }
  /** Lays out an archive, or the layer of an image that was made of one, in a new directory. */
  | { readonly task: 'unpack'; readonly archive: string; readonly home: string }
  | { readonly task: 'take'; readonly layer: string; readonly home: string }

export interface ScanResult {
  /** Absolute, as deleted.files has them. */
  readonly deleted: readonly string[]
}

/** The JSON files of an archive, as they are. */
export interface UnpackResult {
  readonly configDump: string
  readonly specDump: string
  readonly imagesDirectory: string
}

export type CheckpointReply =
  | { readonly result: ScanResult | UnpackResult }
  | { readonly error: { readonly kind: ErrorKind; readonly message: string } }

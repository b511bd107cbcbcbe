import type { MessagePort } from 'node:worker_threads'
import type { ErrorKind } from '#lib/errors.ts'
import type { LayerForm } from './artifact-layers.ts'
import type { MadePatch, StackedLayer } from './image-patch.ts'
import type { LayerFormat } from './layer-format.ts'
import type { PackedLayer, PackTarget } from './layer-pack.ts'
import type { LayerPlace } from './layer-tar.ts'
import type { LayerUsage } from './layer-writer.ts'

/**
 * Between untar-pool.ts and untar.worker.ts; each job has a port of its own.
 *
 *   pool ── pieces* ──▶ end | cancel
 *   worker ── taken* ──▶ done | failed
 */
export type UntarRequest =
  | {
      readonly task: 'untar'
      readonly port: MessagePort
      /** What is made: a directory, or a file in the format `erofs`. */
      readonly directory: string
      readonly format: LayerFormat
      /** Of the compressed bytes. */
      readonly digest: string
      readonly diffId: string
      /** Of an artifact's layer, which has no diff id. */
      readonly form?: LayerForm | undefined
      readonly limits: UntarLimits
    }
  | {
      readonly task: 'copy'
      readonly port: MessagePort
      /** Both in latin1: see copy-tree.ts. */
      readonly from: string
      readonly to: string
    }
  | {
      readonly task: 'pack'
      readonly port: MessagePort
      readonly layer: LayerPlace
      readonly target: PackTarget
      /** As of a patch. */
      readonly cancelled: Int32Array
    }
  | {
      readonly task: 'patch'
      readonly port: MessagePort
      readonly layers: readonly StackedLayer[]
      /** In shared memory, since the thread reads no message meanwhile: not 0 once it is to give up. */
      readonly cancelled: Int32Array
    }
  | {
      readonly task: 'remove'
      readonly port: MessagePort
      readonly path: string
      /** As of a patch. */
      readonly cancelled: Int32Array
    }

/** A layer beyond these is refused: nobody's disk is filled by a small download. */
export interface UntarLimits {
  /** Of the uncompressed tar. */
  readonly sizeBytes: number
  readonly entries: number
}

/** Pieces of the blob are handed over with their memory. */
export type ToWorker = readonly Uint8Array<ArrayBuffer>[] | 'end' | 'cancel'

export type FromWorker =
  /** Of a message's pieces. */
  | { readonly answer: 'taken'; readonly sizeBytes: number }
  | {
      readonly answer: 'done'
      readonly usage: LayerUsage
      readonly compressedBytes: number
      readonly patches?: readonly MadePatch[]
      readonly packed?: PackedLayer
    }
  | { readonly answer: 'failed'; readonly kind: ErrorKind; readonly message: string }

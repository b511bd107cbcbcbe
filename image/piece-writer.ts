import { writeSync } from 'node:fs'
import type { SparsePiece } from './tar-sparse.ts'

/** Writes data that comes in one stream to the places of a sparse file that it is of. */
export class PieceWriter {
  readonly #pieces: readonly SparsePiece[]
  #current = 0
  /** Of the current piece. */
  #written = 0

  constructor(pieces: readonly SparsePiece[]) {
    this.#pieces = pieces
  }

  write(fd: number, chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = this.#pieces[this.#current]
      if (piece === undefined) throw new Error('a sparse file has more data than pieces')
      const length = Math.min(piece.sizeBytes - this.#written, chunk.length - at)
      const done = writeSync(fd, chunk, at, length, piece.offset + this.#written)
      at += done
      this.#written += done
      if (this.#written < piece.sizeBytes) continue
      this.#current += 1
      this.#written = 0
    }
  }
}

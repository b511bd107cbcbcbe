import { CriError, invalidArgument } from '#lib/errors.ts'

/** Of a look at a path, besides its length: a system call. */
const LOOK_COST = 200
/** Some two million looks: seconds, for all patches of an image. */
const LIMIT = 400_000_000

/** Bounds the time that the patches of one image take, whatever its layers say. */
export class PatchBudget {
  /** Who is to blame for what is spent from now on. */
  layer = ''
  readonly #isCancelled: () => boolean
  #spent = 0

  constructor(isCancelled: () => boolean) {
    this.#isCancelled = isCancelled
  }

  /** To be called before a look at a path. Throws cancelled, and invalid-argument when all is spent. */
  spend(path: string): void {
    if (this.#isCancelled()) throw new CriError('cancelled', 'the patches of the image were cancelled')
    this.#spent += LOOK_COST + path.length
    if (this.#spent > LIMIT) {
      throw invalidArgument(
        `${this.layer}: to fill in its hard links and implied directories leads over too many paths of the layers below: rebuild the image`,
      )
    }
  }
}

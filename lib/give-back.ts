/** Frees memory that nobody uses any more, which the garbage collector would let lie: it sees only the small object. */
export function giveBack({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
}

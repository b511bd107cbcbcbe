/** What one stream may pass on in a turn of the event loop: some 100 us of it. */
const SHARE_BYTES = 256 << 10
/** After how many bytes the buffers that held them are given back. */
const COLLECTION_BYTES = 8 << 20

/**
 * Counts what a stream passes on: true once it has had its share of this turn, and should wait until `next` is called
 * in the following one. Sockets and pipes give as much in one turn as they hold, while everybody else waits.
 */
export function fairShare(next: () => void): (bytes: number) => boolean {
  let takenBytes = 0
  let waits = false
  const begin = (): void => {
    takenBytes = 0
    if (!waits) return
    waits = false
    next()
  }
  return (bytes) => {
    if (takenBytes === 0 && bytes > 0) setImmediate(begin)
    takenBytes += bytes
    countPassed(bytes)
    if (takenBytes >= SHARE_BYTES) waits = true
    return waits
  }
}

let passedBytes = 0

/**
 * Each read has a buffer of its own outside the heap, which V8 frees by collecting the whole heap: 22 times 3 ms a
 * second at full speed. Collecting the young ones in time, 0.4 ms, leaves it no reason to (`--expose-gc`, bin/cri-ts).
 */
function countPassed(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < COLLECTION_BYTES) return
  passedBytes = 0
  void globalThis.gc?.({ type: 'minor' })
}

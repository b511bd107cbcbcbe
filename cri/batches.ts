/** Annotations of an object have at most 256 KiB in Kubernetes: as many of the biggest fit a message of 16 MiB. */
const batchLength = 50

/** Cuts a list into lists that each fit a message; none for an empty list. */
export function* batches<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += batchLength)
    yield items.slice(start, start + batchLength)
}

import { join } from 'node:path'
import type { StoreUpkeep } from '#image/store-upkeep.ts'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { bootId } from '#linux/boot-id.ts'
import { markUse } from '#store/use-mark.ts'

/**
 * Marks the image store as used until its disposal. Where the machine went down while it was, the digests of all layers
 * are checked in the background, one after the other, and broken ones dropped with their images.
 */
export function watchStore(
  root: string,
  { upkeep }: { readonly upkeep: Pick<StoreUpkeep, 'check'> },
  log: Log,
): AsyncDisposable {
  const mark = markUse(join(root, 'in-use'), bootId())
  /** On a disk that has become read-only. The mark stays as it is: the next start looks at it. */
  const attempt = (change: () => void): void => {
    try {
      change()
    } catch (error) {
      log.warn({ root, err: describeError(error) }, 'the image store cannot be written')
    }
  }
  const stop = new AbortController()
  const checking = mark.wasCut ? checkAll(upkeep, log, stop.signal) : Promise.resolve(true)
  const checked = checking.then((isDone) => {
    if (isDone && mark.wasCut) attempt(mark.checked)
    return isDone
  })
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      if (await checked) attempt(mark.remove)
    },
  }
}

/** Answers whether it came to its end, with all layers read: else the next start does it again. */
async function checkAll(upkeep: Pick<StoreUpkeep, 'check'>, log: Log, signal: AbortSignal): Promise<boolean> {
  log.warn({}, 'the machine went down while the image store was in use: all layers are checked')
  try {
    const { problems, layers } = await upkeep.check({ repair: true, deep: true }, signal)
    for (const problem of problems)
      log.error(
        { ...problem },
        problem.checked ? 'the image store was damaged' : 'a layer could not be checked',
      )
    log.info({ layers, problems: problems.length }, 'all layers were checked')
    return problems.every(({ checked }) => checked)
  } catch (error) {
    const isStopping = signal.aborted
    if (!isStopping) log.error({ err: describeError(error) }, 'the layers could not be checked')
    return false
  }
}

import { join } from 'node:path'
import type { Images } from '#image/open-images.ts'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { bootId } from '#linux/boot-id.ts'
import { markUse } from '#store/use-mark.ts'

/**
 * Marks the image store as used until its disposal. Where the machine went down while it was, the digests of all layers
 * are checked in the background, one after the other, and broken ones dropped with their images.
 */
export function watchStore(root: string, { upkeep }: Pick<Images, 'upkeep'>, log: Log): AsyncDisposable {
  const mark = markUse(join(root, 'in-use'), bootId())
  const stop = new AbortController()
  const checking = mark.wasCut ? checkAll(upkeep, log, stop.signal) : Promise.resolve(true)
  const checked = checking.then((isDone) => {
    if (isDone && mark.wasCut) mark.checked()
    return isDone
  })
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      if (await checked) mark.remove()
    },
  }
}

/** Answers whether it came to its end. */
async function checkAll(upkeep: Images['upkeep'], log: Log, signal: AbortSignal): Promise<boolean> {
  log.warn({}, 'the machine went down while the image store was in use: all layers are checked')
  try {
    const { problems, layers } = await upkeep.check({ repair: true, deep: true }, signal)
    for (const problem of problems) log.error({ ...problem }, 'the image store was damaged')
    log.info({ layers, problems: problems.length }, 'all layers were checked')
    return true
  } catch (error) {
    const isStopping = signal.aborted
    if (!isStopping) log.error({ err: describeError(error) }, 'the layers could not be checked')
    return false
  }
}

import koffi from 'koffi'

const mallocTrim = koffi.load('libc.so.6').func('int malloc_trim(size_t pad)')

const LOOK_EVERY_MS = 5_000
const WORK_US = 100_000

/** Gives the kernel the memory that was freed: glibc keeps what lies below anything in use. Some milliseconds. */
export const giveFreedMemoryBack = (): void => void mallocTrim(0)

/** Does so now and then, where the process has been at work. */
export function keepGivingFreedMemoryBack(): Disposable {
  let before = process.cpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    if (user + system < WORK_US) return
    giveFreedMemoryBack()
    before = process.cpuUsage()
  }, LOOK_EVERY_MS).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { built, CACHE } from '#test/fixtures/built.ts'

/** The beginning of an arm64 ELF program, as the kernel's documentation of binfmt_misc has bytes and their mask. */
const escaped = (hex: string): string => hex.replaceAll(/../g, '\\x$&')
const ELF = escaped('7f454c460201010000000000000000000200b700')
const MASK = escaped('ffffffffffffff00fffffffffffffffffeffffff')

/**
 * Registers Debian's emulator of arm64 in the user namespace that is pinned there, and nowhere else: since Linux 6.7 each
 * has a binfmt_misc of its own. It is there until the result is disposed of.
 */
export async function emulateArm64(userNamespace: string): Promise<AsyncDisposable> {
  const emulator = built(join(CACHE, 'qemu-user/qemu-aarch64-static'))
  const rule = `:arm64:M::${ELF}:${MASK}:${emulator}:OCF`
  const script = 'mount -t binfmt_misc none /mnt && printf %s "$1" > /mnt/register && echo ready && read -r _'
  const program = ['unshare', '--mount', 'sh', '-c', script, 'sh', rule]
  // It holds the mount, and with it what is registered, until its input ends.
  const holder = spawn('nsenter', [`--user=${userNamespace}`, ...program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(holder, 'exit')
  const first = await Promise.race([once(holder.stdout, 'data'), ended])
  if (String(first[0]) !== 'ready\n') throw new Error(`the emulator can't be registered in ${userNamespace}`)
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end()
      await ended
    },
  }
}

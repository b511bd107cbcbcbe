import { access, constants, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, errnoOf } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Command, Finished } from '#linux/command.ts'
import { refusal } from './policy-refusal.ts'

/** Programs of the node's administrator that have a say in what is pulled: containerd's image verifiers. */
export interface ImageVerifiers {
  /** Throws unverified, with the program and its reason, when one refuses the image or cannot be asked. `signal` ends it. */
  verify(name: string, descriptor: ImageDescriptor, signal: AbortSignal): Promise<void>
}

/** Of what a reference stands for: an index, or a manifest. */
export interface ImageDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

export interface ImageVerifiersOptions {
  /** Its files are run, in the order of their names. */
  readonly directory: string
  /** For each. */
  readonly timeoutMs: number
  /** More than these refuse every image. */
  readonly most: number
  readonly run: (command: Command) => Promise<Finished>
  readonly log: Log
}

const LONGEST_REASON = 1000
const OUTPUT_LIMIT_BYTES = 1 << 20

export function imageVerifiers({
  directory,
  timeoutMs,
  most,
  run,
  log,
}: ImageVerifiersOptions): ImageVerifiers {
  async function ask(
    program: string,
    name: string,
    descriptor: ImageDescriptor,
    signal: AbortSignal,
  ): Promise<void> {
    const path = join(directory, program)
    await access(path, constants.X_OK).catch(() => {
      throw refusal(`image verifier ${path} cannot be run: make it executable, or take it away`)
    })
    const { digest } = descriptor
    const finished = await run({
      argv: [
        path,
        '-name',
        name,
        '-digest',
        digest,
        '-stdin-media-type',
        'application/vnd.oci.descriptor.v1+json',
      ],
      stdin: `${JSON.stringify(descriptor)}\n`,
      timeoutMs,
      signal,
      outputLimitBytes: OUTPUT_LIMIT_BYTES,
    }).catch((error: unknown) => {
      if (signal.aborted) throw error
      throw refusal(`image ${name}: image verifier ${path} gave no answer: ${describeError(error)}`)
    })
    const reason = printable(finished.stdout.toString())
    log.debug({ image: name, verifier: path, ...finished, stdout: reason }, 'an image verifier was asked')
    if (finished.exitCode === 0) return
    const end =
      'signal' in finished && finished.signal ? `signal ${finished.signal}` : `exit code ${finished.exitCode}`
    throw refusal(
      `image verifier ${path} refused ${name}@${digest} (${end}): ${reason || 'it gave no reason'}`,
    )
  }

  return {
    async verify(name, descriptor, signal) {
      const programs = await programsIn(directory)
      if (programs.length > most) {
        throw refusal(
          `${directory} holds ${programs.length} image verifiers, ${most} at most may be there: take some away, or raise image.max_verifiers`,
        )
      }
      for (const program of programs) await ask(program, name, descriptor, signal)
    },
  }
}

async function programsIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted()
  } catch (cause) {
    throw refusal(
      `the image verifiers in ${directory} (image.verifiers_dir) cannot be listed: ${errnoOf(cause) ?? String(cause)}`,
    )
  }
}

const printable = (text: string): string =>
  text
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, LONGEST_REASON)

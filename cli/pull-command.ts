import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { ImageClient } from '#admin/image-client.ts'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { CliHost } from './cli.ts'
import { plainPullProgress } from './plain-pull-progress.ts'
import type { PullView } from './pull-meter.ts'
import { terminalPullProgress } from './terminal-pull-progress.ts'

export interface PullFlags {
  readonly credsFile?: string
  readonly quiet?: true
  readonly platform?: string
}

/** Pulls, shows how far that is, and prints the id. The end of this process gives the pull up, unless others want it. */
export async function pullImage(
  client: ImageClient,
  reference: string,
  { credsFile, quiet, platform }: PullFlags,
  host: Pick<CliHost, 'out' | 'err' | 'terminal' | 'environment'>,
): Promise<void> {
  const auth = await credentials(credsFile, host.environment['CRI_TS_CREDS'])
  const view = quiet ? NO_VIEW : viewOf(host, reference)
  try {
    for await (const line of client.pull({ reference, auth, platform })) {
      if ('layers' in line) view.update(line.layers)
      else {
        view.finish()
        host.out(`${line.id}\n`)
      }
    }
  } finally {
    view[Symbol.dispose]()
  }
}

const NO_VIEW: PullView = { update() {}, finish() {}, [Symbol.dispose]() {} }

function viewOf({ err, terminal }: Pick<CliHost, 'err' | 'terminal'>, reference: string): PullView {
  return terminal === undefined
    ? plainPullProgress(reference, err)
    : terminalPullProgress(reference, terminal)
}

/** Never from an argument, which every process of the host could read. */
async function credentials(file: string | undefined, environment: string | undefined) {
  const given = file === undefined ? environment : await firstLine(file)
  if (given === undefined) return undefined
  const colon = given.indexOf(':')
  if (colon < 1) {
    const source = file === undefined ? 'CRI_TS_CREDS' : `the first line of ${file === '-' ? 'stdin' : file}`
    throw invalidArgument(`${source} is not user:password`)
  }
  return { username: given.slice(0, colon), password: given.slice(colon + 1) }
}

async function firstLine(file: string): Promise<string> {
  try {
    const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
    return content.split(/\r?\n/, 1)[0] ?? ''
  } catch (cause) {
    throw new CriError('failed-precondition', `the credentials can't be read from ${file}`, { cause })
  }
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { ContainerContexts, Selinux } from '#runtime/selinux-port.ts'
import { selinuxEnabled } from './host-facts.ts'
import type { Relabels } from './relabels.ts'

export interface SelinuxHostOptions {
  /** False where the configuration forbids it. */
  readonly isWanted: boolean
  readonly relabels: Pick<Relabels, 'relabel' | 'giveUp'>
  /** For tests; the host's own where they are not given. */
  readonly isOn?: boolean
  readonly etc?: string
  readonly containerContextsFile?: string
  readonly contextFile?: string
}

/** SELinux of this host: what its policy gives containers, as container-selinux or the policy itself says. */
export function createSelinux(options: SelinuxHostOptions): Selinux {
  const { etc = '/etc/selinux', contextFile = '/sys/fs/selinux/context' } = options
  const { containerContextsFile = '/usr/share/containers/selinux/contexts' } = options
  return {
    enabled: options.isWanted && (options.isOn ?? selinuxEnabled()),

    async containerContexts() {
      const type = wordsOf(join(etc, 'config')).get('SELINUXTYPE') ?? ''
      const ofPolicy = join(etc, type, 'contexts/lxc_contexts')
      const file = existsSync(containerContextsFile) ? containerContextsFile : ofPolicy
      return contextsOf(wordsOf(file), file)
    },

    async isValid(label) {
      try {
        writeFileSync(contextFile, `${label}\0`)
        return true
      } catch (error) {
        return errnoOf(error) !== 'EINVAL' // Who may not ask finds out from the OCI runtime.
      }
    },

    relabel: (owner, paths, label) => options.relabels.relabel(owner, { paths, label }),
    giveUp: (owner) => options.relabels.giveUp(owner),
  }
}

function contextsOf(words: ReadonlyMap<string, string>, file: string): ContainerContexts {
  const of = (key: string): string => {
    const context = words.get(key) ?? ''
    if (context.split(':').length >= 3) return context
    throw new CriError(
      'failed-precondition',
      `SELinux is on, but its policy says nothing of containers: ${file} has no ${key} = "user:role:type:level": ` +
        'install container-selinux, or set runtime.enable_selinux = false',
    )
  }
  return { process: of('process'), file: of('file') }
}

/** Of lines `name = "value"`, with or without quotes and blanks; lines that begin with # or ; say nothing. */
function wordsOf(file: string): ReadonlyMap<string, string> {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  return new Map(
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*"?([^"]*?)"?\s*$/.exec(line) ?? []
      return name === '' ? [] : [[name, value] as const]
    }),
  )
}
